//! Faults of the server itself.

use crate::harness::{Connection, HELLO, Server, Unprivileged, get, root, under};
use nix::unistd::{Gid, Uid, chown, geteuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

/// A collector that reads objects line by line met a text of several lines. The fault is one of a library, which panics
/// where it gets no thread.
#[test]
fn a_panic_is_one_record_of_the_log_and_costs_its_request_alone() {
    if !geteuid().is_root() {
        // Nobody else can be a user who has no other processes.
        return;
    }
    let user = 64_000 + std::process::id() % 1000;
    let home = Unprivileged::new("panics");
    let place = |name: &str| home.0.join(name);
    for directory in ["cache", "files"] {
        fs::create_dir(place(directory)).unwrap();
    }
    let owner = (Uid::from_raw(user), Gid::from_raw(user));
    chown(&place("cache"), Some(owner.0), Some(owner.1)).unwrap();
    fs::set_permissions(place("cache"), Permissions::from_mode(0o700)).unwrap();
    fs::write(place("files/text"), "text").unwrap();
    fs::copy(root().join(HELLO), place("app.wat")).unwrap();
    let start = |limit: usize| {
        let mut command = home.command();
        command.arg(place("app.wat")).args(["--port", "0"]);
        command.args(["--no-admin", "--log-format", "json"]);
        command.arg("--cache-dir").arg(place("cache"));
        command.arg(format!("--static=/files={}", place("files").display()));
        let mut command = under(&["prlimit", &format!("--nproc={limit}")], &command);
        command.uid(user).gid(user);
        Server::command(command).start()
    };
    let server = start(1000);
    let processes = server.children().into_iter().chain([server.pid()]);
    let threads = |pid| fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    let needed = processes.map(threads).sum();
    server.stop();
    let server = start(needed);
    let mut client = Connection::open(server.address);
    client.get("/files/text").send().unwrap();
    assert!(client.response().is_err(), "there was a thread for it");
    let line = server.wait_for("wasmserve has a fault");
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["level"], "ERROR");
    let said = record["message"].as_str().unwrap();
    assert!(said.contains("OS can't spawn worker thread"), "{said}");
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}
