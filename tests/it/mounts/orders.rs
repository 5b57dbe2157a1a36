//! An operator steers one mount, and nothing else.

use super::{SITE, Site, mount, pid, replaceable};
use crate::harness::{HELLO, Server, eventually, get, order, said};
use std::fs;

/// Which version of the application and of a mount is served.
fn versions(server: &Server, at: &str) -> (u64, u64) {
    let status = server.status();
    let own = status["component"]["generation"].as_u64().unwrap();
    (
        own,
        mount(server, at)["component"]["generation"]
            .as_u64()
            .unwrap(),
    )
}

#[test]
fn one_is_reloaded_and_no_other_is_touched() {
    let (site, file) = replaceable();
    let server = site.server().start();
    assert_eq!(get(server.address, "/two/counter").text(), "1\n");
    assert_eq!(versions(&server, "/one"), (1, 1));
    fs::copy(HELLO, &file).unwrap();
    let output = order(&server, &["reload", "--mount", "/one/"]);
    assert_eq!(said(&output), "mount `/one`: version 2 is served\n");
    assert_eq!(get(server.address, "/one/x").text(), "Hello, world!\n");
    assert_eq!(get(server.address, "/two/counter").text(), "2\n");
    assert_eq!(versions(&server, "/one"), (1, 2));
    assert_eq!(versions(&server, "/two"), (1, 1));

    fs::write(&file, "no component").unwrap();
    let output = order(&server, &["reload", "--mount", "/one"]);
    assert_eq!(output.status.code(), Some(3));
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        why.contains("the old version goes on serving: mount `/one`: "),
        "{why}"
    );
    assert_eq!(get(server.address, "/one/x").text(), "Hello, world!\n");
    let status = said(&order(&server, &["status"]));
    let (_, of_mount) = status.split_once("\nmount      /one, ").unwrap();
    let why = of_mount.lines().nth(1).unwrap();
    assert!(
        why.starts_with("the last reload failed: component "),
        "{status}"
    );
    // What all are told fails where one of them does.
    let output = order(&server, &["reload"]);
    assert_eq!(output.status.code(), Some(3));
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("mount `/one`: "), "{why}");
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}

#[test]
fn what_is_not_mounted_is_refused_with_what_is() {
    let site = Site::new(SITE);
    let server = site.server().start();
    for (arguments, expected) in [
        (
            &["reload", "--mount", "/other"][..],
            "there are /api, /api/v2, admin.example.com/",
        ),
        (
            &["promote", "--mount", "ADMIN.example.com"],
            "mount `admin.example.com/`: no canary runs",
        ),
        (
            &["restart-worker", "99999999", "--mount", "/api"],
            "mount `/api`: no worker that serves",
        ),
    ] {
        let output = order(&server, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn one_is_scaled_and_its_workers_are_replaced() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let output = order(&server, &["scale", "2", "--mount", "/api"]);
    assert_eq!(said(&output), "mount `/api`: 2 workers serve\n");
    let workers = |at| mount(&server, at)["workers"].as_array().unwrap().len();
    assert_eq!((workers("/api"), workers("/api/v2")), (2, 1));
    let worker = pid(&mount(&server, "/api")["workers"][0]);
    let output = order(
        &server,
        &["restart-worker", &worker.to_string(), "--mount", "/api"],
    );
    assert_eq!(
        said(&output),
        format!("mount `/api`: process {worker} is replaced\n")
    );
    assert_eq!(get(server.address, "/api/environment").text(), "WHO=api\n");
}

#[test]
fn the_canary_of_one_is_promoted_or_rolled_back() {
    let (site, file) = replaceable();
    site.write(&format!(
        "component = \"{{hello}}\"\n[mount.\"/one\"]\ncomponent = \"{file}\"\nworkers = 2\n\
         canary = \"50%\"\ncanary-time = \"5m\"\n"
    ));
    let server = site.server().start();
    let has_canary = || !mount(&server, "/one")["reloads"]["canary"].is_null();
    fs::copy(HELLO, &file).unwrap();
    for (command, expected) in [("rollback", "ok\n"), ("promote", "Hello, world!\n")] {
        std::thread::scope(|scope| {
            scope.spawn(|| order(&server, &["reload", "--mount", "/one"]));
            eventually("there is a canary", has_canary);
            let output = order(&server, &[command, "--mount", "/one"]);
            assert!(output.status.success(), "{output:?}");
        });
        for _ in 0..4 {
            assert_eq!(get(server.address, "/one/x").text(), expected, "{command}");
        }
    }
}
