//! Components in registries: they are pushed and pulled as others do it, and nothing is served that did not come whole.

mod misbehaving;

use crate::harness::folder;
use crate::harness::registry::Registry;
use crate::harness::{Server, finished, get, guest, wasmserve};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// The command with a cache, and a home without any login.
pub fn at_home(home: &Path) -> Command {
    let mut command = wasmserve();
    command
        .env("WASMSERVE_CACHE_DIR", home.join("cache"))
        .env("DOCKER_CONFIG", home.join("docker"));
    command
}

pub fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = at_home(home);
    command.args(arguments);
    finished(command)
}

/// What it said where it failed, with this status.
pub fn failed(output: &Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn serve(home: &Path, arguments: &[&str]) -> Server {
    let mut command = at_home(home);
    command.args(arguments).args(["--port", "0"]);
    Server::command(command).start()
}

fn greets(server: &Server) -> String {
    get(server.address, "/").text()
}

/// A component that answers otherwise than the one of the examples.
fn other(home: &Path) -> String {
    let source = fs::read_to_string(crate::harness::HELLO).unwrap();
    assert!(source.contains("Hello, world!"));
    let path = home.join("other.wat");
    fs::write(&path, source.replace("Hello, world!", "Hello, there!")).unwrap();
    path.display().to_string()
}

#[test]
fn what_was_pushed_is_served_by_tag_and_by_digest_and_then_without_the_registry() {
    let home = folder("registry-served");
    let mut registry = Registry::start(&home, false);
    let tag = registry.named("team/hello:1.0");
    let pinned = succeeded(&run(&home, &["push", crate::harness::HELLO, &tag]));
    let begins = registry.named("team/hello@sha256:");
    assert!(pinned.starts_with(&begins), "{pinned}");
    for reference in [&tag, &pinned] {
        let server = serve(&home, &[reference, "--workers", "2"]);
        assert_eq!(greets(&server), "Hello, world!\n", "{reference}");
    }
    let file = home.join("pulled.wasm");
    let output = file.to_str().unwrap();
    assert_eq!(
        succeeded(&run(&home, &["pull", &tag, "-o", output])),
        pinned
    );
    assert!(fs::read(&file).unwrap().starts_with(b"\0asm"));
    for command in ["inspect", "check"] {
        let said = succeeded(&run(&home, &[command, &tag]));
        assert!(said.contains("wasi:http/proxy@0.2"), "{command}: {said}");
    }
    registry.stop();
    for reference in [&tag, &pinned] {
        let server = serve(&home, &[reference]);
        server.wait_for("in the cache");
        assert_eq!(greets(&server), "Hello, world!\n", "{reference}");
    }
}

/// The layout of CNCF, by which `wkg`, `wash` and `spin` find what is in it.
#[test]
fn what_is_pushed_has_the_form_that_other_tools_look_for() {
    let home = folder("registry-form");
    let registry = Registry::start(&home, false);
    succeeded(&run(
        &home,
        &["push", &guest("hello"), &registry.named("a:1")],
    ));
    let get = |path: &str| {
        let mut curl = Command::new("curl");
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        curl.args(["-sf", "-H", accept]);
        curl.arg(format!("http://{}/v2/a/{path}", registry.address));
        serde_json::from_slice::<serde_json::Value>(&finished(curl).stdout).unwrap()
    };
    let manifest = get("manifests/1");
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let config = &manifest["config"];
    assert_eq!(config["mediaType"], "application/vnd.wasm.config.v0+json");
    let config = get(&format!("blobs/{}", config["digest"].as_str().unwrap()));
    assert_eq!(
        (&config["os"], &config["architecture"]),
        (&"wasip2".into(), &"wasm".into())
    );
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    let exports = config["component"]["exports"].as_array().unwrap();
    assert!(
        exports[0]
            .as_str()
            .unwrap()
            .starts_with("wasi:http/incoming-handler@0.2")
    );
}

#[test]
fn a_tag_that_has_moved_is_served_after_a_reload_where_that_was_asked_for() {
    let home = folder("registry-moved");
    let registry = Registry::start(&home, false);
    let tag = registry.named("hello:now");
    succeeded(&run(&home, &["push", crate::harness::HELLO, &tag]));
    let (missing, always) = (
        serve(&home, &[&tag]),
        serve(&home, &[&tag, "--pull", "always"]),
    );
    succeeded(&run(&home, &["push", &other(&home), &tag]));
    let before = missing.workers();
    missing.signal(Signal::SIGHUP);
    crate::harness::eventually("the worker is replaced", || {
        missing.workers().iter().all(|pid| !before.contains(pid))
    });
    assert_eq!(greets(&missing), "Hello, world!\n");
    always.signal(Signal::SIGHUP);
    crate::harness::eventually("the new version is served", || {
        greets(&always) == "Hello, there!\n"
    });
    // The other has the same cache.
    succeeded(&run(&home, &["pull", &tag]));
    missing.signal(Signal::SIGHUP);
    crate::harness::eventually("the new version is served", || {
        greets(&missing) == "Hello, there!\n"
    });
}

#[test]
fn without_its_registry_a_server_goes_on_and_a_new_one_says_why_it_cannot_begin() {
    let home = folder("registry-away");
    let mut registry = Registry::start(&home, false);
    let tag = registry.named("hello:1");
    succeeded(&run(&home, &["push", crate::harness::HELLO, &tag]));
    let server = serve(&home, &[&tag, "--pull", "always"]);
    registry.stop();
    server.signal(Signal::SIGHUP);
    server.wait_for("; asking again in 0.25 s");
    let line = server.wait_for("The reload failed, and the old version goes on serving");
    assert!(line.contains("cannot reach"), "{line}");
    assert_eq!(greets(&server), "Hello, world!\n");
    let said = failed(&run(&home, &[&tag, "--pull", "always", "--port", "0"]), 3);
    assert!(
        said.contains(&tag) && said.contains("cannot reach"),
        "{said}"
    );
}

#[test]
fn a_login_is_shown_to_its_registry_from_the_file_or_from_a_helper() {
    let home = folder("registry-login");
    let registry = Registry::start(&home, true);
    let (tag, host) = (registry.named("private/hello:1"), registry.address);
    let docker = home.join("docker");
    fs::create_dir(&docker).unwrap();
    let configure = |text: String| fs::write(docker.join("config.json"), text).unwrap();
    let push = || run(&home, &["push", crate::harness::HELLO, &tag]);
    let said = failed(&push(), 3);
    assert!(said.contains(&format!("docker login {host}")), "{said}");
    // tester:wrong
    configure(format!(
        r#"{{"auths":{{"{host}":{{"auth":"dGVzdGVyOndyb25n"}}}}}}"#
    ));
    let said = failed(&push(), 3);
    assert!(said.contains("does not accept the login"), "{said}");
    assert!(!said.contains("dGVzdGVyOndyb25n"), "{said}");
    configure(format!(
        r#"{{"auths":{{"{host}":{{"auth":"dGVzdGVyOnNlY3JldA=="}}}}}}"#
    ));
    succeeded(&push());
    let said = failed(
        &run(&home, &["pull", &registry.named("private/other:1")]),
        3,
    );
    assert!(said.contains("404"), "{said}");
    // A program that is asked, by a server.
    configure(format!(r#"{{"credHelpers":{{"{host}":"tests"}}}}"#));
    let helper = docker.join("docker-credential-tests");
    let script = "#!/bin/sh\nread host\necho '{\"ServerURL\":\"x\",\"Username\":\"tester\",\"Secret\":\"secret\"}'\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = at_home(&home);
    let path = std::env::var("PATH").unwrap();
    command
        .args([&tag, "--port", "0"])
        .env("PATH", format!("{}:{path}", docker.display()));
    let server = Server::command(command).start();
    assert_eq!(greets(&server), "Hello, world!\n");
}

#[test]
fn what_cannot_be_a_reference_is_a_mistake_of_the_command_line() {
    let home = folder("registry-mistakes");
    for reference in ["oci://host", "oci://host/A:1", "oci://host/a@sha256:12"] {
        let said = failed(&run(&home, &[reference, "--port", "0"]), 2);
        assert!(said.contains(reference), "{said}");
    }
}

/// The units that systemd is given have room for what is pulled.
#[test]
fn a_unit_is_called_after_the_artifact_and_may_reach_the_registry() {
    let home = folder("registry-unit");
    let said = succeeded(&run(&home, &["unit", "oci://ghcr.io/team/app:1.0"]));
    assert!(said.contains("# /etc/systemd/system/app.service"), "{said}");
    assert!(said.contains("AF_NETLINK"), "{said}");
    let exec = said.lines().find(|line| line.starts_with("ExecStart="));
    assert!(
        exec.unwrap().contains("oci://ghcr.io/team/app:1.0"),
        "{said}"
    );
}

/// Looking at what was pulled, at each start and reload and by others, once counted as a change of it.
#[test]
fn what_is_looked_at_has_not_changed() {
    let home = folder("registry-looked-at");
    let registry = Registry::start(&home, false);
    let tag = registry.named("hello:1");
    succeeded(&run(&home, &["push", crate::harness::HELLO, &tag]));
    let server = serve(&home, &[&tag, "--reload"]);
    for _ in 0..3 {
        succeeded(&run(&home, &["pull", &tag]));
    }
    let before = server.workers();
    server.signal(Signal::SIGHUP);
    crate::harness::eventually("the worker is replaced", || {
        let now = server.workers();
        !now.is_empty() && now.iter().all(|pid| !before.contains(pid))
    });
    let other = serve(&home, &[&tag]);
    // The files are looked at every quarter of a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    drop(other);
    let said = server.printed();
    assert_eq!(said.matches("Reloading").count(), 1, "{said}");
}
