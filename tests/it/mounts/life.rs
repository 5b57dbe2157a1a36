//! Mounts start, are reloaded, die, rest and end, each without the others.

use super::{SITE, Site, mount, pid, replaceable};
use crate::harness::{HELLO, Server, eventually, get, lives, order, strike};
use nix::sys::signal::Signal;
use std::fs;

fn counted(server: &Server, target: &str) -> String {
    get(server.address, target).text().trim().to_owned()
}

#[test]
fn a_changed_component_is_reloaded_without_touching_instances_of_others() {
    let (site, file) = replaceable();
    let server = site.server().arg("--reload").start();
    assert_eq!(counted(&server, "/two/counter"), "1");
    fs::copy(HELLO, &file).unwrap();
    eventually("the new version answers", || {
        get(server.address, "/one/x").text() == "Hello, world!\n"
    });
    assert_eq!(counted(&server, "/two/counter"), "2");
    // What cannot be served is told, and the version before goes on.
    fs::write(&file, "no component").unwrap();
    server.wait_for("one.wasm`: ");
    assert_eq!(get(server.address, "/one/x").text(), "Hello, world!\n");
    assert_eq!(counted(&server, "/two/counter"), "3");
}

#[test]
fn a_reload_of_all_adds_and_removes_mounts() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let gone = pid(&mount(&server, "/api"));
    site.write("component = \"{hello}\"\n[mount.\"/new\"]\ncomponent = \"{behaviours}\"\n");
    let output = order(&server, &["reload"]);
    assert!(output.status.success());
    assert_eq!(get(server.address, "/new/x").text(), "ok\n");
    assert_eq!(get(server.address, "/api/x").text(), "Hello, world!\n");
    assert!(!server.printed().contains("The reload failed"));
    eventually("the server of what is not mounted any more ends", || {
        !lives(gone)
    });
    eventually("the status has what is mounted", || {
        let status = server.status();
        let mounts = status["mounts"].as_array().unwrap();
        mounts.len() == 1 && mounts[0]["state"] == "serving"
    });
    // Where one of them cannot start, everything stays.
    site.write("component = \"{hello}\"\n[mount.\"/bad\"]\ncomponent = \"missing.wasm\"\n");
    let output = order(&server, &["reload"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("mount `/bad`: "), "{said}");
    assert_eq!(get(server.address, "/new/x").text(), "ok\n");
}

#[test]
fn a_server_that_is_killed_is_started_again_and_its_requests_wait() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let killed = pid(&mount(&server, "/api"));
    let workers = mount(&server, "/api")["workers"].clone();
    strike(killed, Signal::SIGKILL);
    for worker in workers.as_array().unwrap() {
        strike(pid(worker), Signal::SIGKILL);
    }
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    assert_eq!(get(server.address, "/api/environment").text(), "WHO=api\n");
    server.wait_for("The server of mount `/api` has ended");
    assert_ne!(pid(&mount(&server, "/api")), killed);
}

#[test]
fn nothing_is_left_when_all_ends_and_requests_in_flight_are_answered() {
    let site = Site::new(SITE);
    let temporary = site.folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let server = site.server().env("TMPDIR", &temporary).start();
    // Their sockets have no names by which anybody else could come to them.
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    let status = server.status();
    let mounts = status["mounts"].as_array().unwrap();
    let workers = mounts
        .iter()
        .flat_map(|it| it["workers"].as_array().unwrap());
    let processes: Vec<i32> = mounts.iter().chain(workers).map(pid).collect();
    assert!(processes.len() >= 6);
    let mut slow = server.connect();
    slow.get("/api/sleep?ms=8000").send().unwrap();
    eventually("it is asked", || {
        mount(&server, "/api")["requests"]["in_flight"] == 1
    });
    server.signal(Signal::SIGTERM);
    assert_eq!(slow.response().unwrap().text(), "slept\n");
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0));
    assert!(processes.iter().all(|pid| !lives(*pid)));
}

#[test]
fn when_the_supervisor_is_killed_nothing_is_left_either() {
    let site = Site::new(SITE);
    let mut server = site.server().start();
    let process = pid(&mount(&server, "/api"));
    let worker = pid(&mount(&server, "/api")["workers"][0]);
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("its servers and their workers end", || {
        !lives(process) && !lives(worker)
    });
}

#[test]
fn a_mount_that_rests_is_started_by_the_next_request() {
    let site = Site::new(
        "component = \"{hello}\"\n[mount.\"/api\"]\ncomponent = \"{behaviours}\"\nexit-idle = \"1s\"\n",
    );
    let server = site.server().start();
    let first = pid(&mount(&server, "/api"));
    server.wait_for("Mount `/api` is idle");
    assert!(!lives(first));
    assert_eq!(mount(&server, "/api")["state"], "idle");
    assert_eq!(get(server.address, "/api/x").text(), "ok\n");
    assert_eq!(mount(&server, "/api")["state"], "serving");
    assert_ne!(pid(&mount(&server, "/api")), first);
}

#[test]
fn a_replaced_executable_starts_them_anew_and_loses_nothing() {
    for application in ["component = \"{hello}\"\n", ""] {
        is_replaced(application);
    }
}

fn is_replaced(application: &str) {
    let mounts = "[mount.\"/api\"]\ncomponent = \"{behaviours}\"\nenv = [\"WHO=api\"]\n";
    let site = Site::new(&format!("{application}{mounts}"));
    let server = site.server().start();
    let first = pid(&mount(&server, "/api"));
    let mut slow = server.connect();
    slow.get("/api/sleep?ms=1500").send().unwrap();
    server.signal(Signal::SIGUSR2);
    server.wait_for("The executable was replaced");
    for _ in 0..20 {
        assert_eq!(get(server.address, "/api/environment").text(), "WHO=api\n");
    }
    assert_eq!(slow.response().unwrap().text(), "slept\n");
    eventually("the server before has ended", || !lives(first));
    assert_eq!(get(server.address, "/api/environment").text(), "WHO=api\n");
}

#[test]
fn each_has_rows_of_its_own() {
    let site = Site::new(SITE);
    let server = site.server().watched();
    get(server.server.address, "/api/x");
    get(server.server.address, "/api/trap-before-head");
    eventually("they are counted", || {
        let count = |status| {
            let labels = format!("mount=\"/api\",status=\"{status}\"");
            server.metric(&format!("wasmserve_mount_requests_total{{{labels}}}"))
        };
        (count("2xx"), count("5xx")) == (1.0, 1.0)
    });
    let failed = "wasmserve_mount_guest_failures_total{mount=\"/api\",kind=\"trap\"}";
    assert_eq!(server.metric(failed), 1.0);
    assert_eq!(
        server.metric("wasmserve_mount_workers{mount=\"/api/v2\"}"),
        1.0
    );
    let shown = order(&server.server, &["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("mount      /api, "), "{shown}");
}

#[test]
fn lines_of_the_log_say_which_mount_they_are_of() {
    let site = Site::new(SITE);
    let server = site.server().start();
    get(server.address, "/api/trap-before-head");
    server.wait_for("[/api] [guest");
    server.wait_for("ERROR:    [/api] 127.0.0.1:");
    server.wait_for("INFO:     [/api/v2] Started server process [");
    assert!(
        server
            .printed()
            .contains("INFO:     Started server process [")
    );
    server.stop();
    let server = site.server().option("--log-format", "json").start();
    get(server.address, "/api/trap-before-head");
    server.wait_for("\"failure\":\"trap\"");
    let printed = server.printed();
    let failed = printed
        .lines()
        .find(|line| line.contains("\"failure\":\"trap\""));
    assert!(failed.unwrap().contains("\"mount\":\"/api\""), "{failed:?}");
}

#[test]
fn workers_of_another_user_reach_them() {
    if !nix::unistd::geteuid().is_root() {
        return println!("only root may run workers as another user");
    }
    let server = Server::component(HELLO)
        .option("--mount", format!("/api={HELLO}"))
        .args(["--user", "nobody"])
        .start();
    assert_eq!(get(server.address, "/api/").text(), "Hello, world!\n");
}
