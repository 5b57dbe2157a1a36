//! What a service manager is told, and that an idle server costs nothing under one.

use crate::harness::{
    Connection, DEADLINE, Folder, HELLO, NotifySocket, Server, activated, eventually, finished,
    get, root, wasmserve,
};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_service_manager_is_told_of_a_start_a_reload_and_a_stop() {
    let mut manager = NotifySocket::new();
    let server = Server::component(HELLO)
        .workers(2)
        .prepared(|command| manager.listen_to(command))
        .start();
    manager.wait_for("READY=1");
    let told = manager.lines.join("\n");
    assert!(
        told.contains("STATUS=Starting: 0 of 2 workers are ready"),
        "{told}"
    );
    assert!(told.contains("STATUS=Serving with 2 workers"), "{told}");
    server.signal(Signal::SIGTTIN);
    manager.wait_for("STATUS=Serving with 3 workers");
    server.signal(Signal::SIGHUP);
    let before = manager.lines.len();
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    let reload = &manager.lines[before..];
    assert!(
        reload
            .iter()
            .any(|line| line.starts_with("MONOTONIC_USEC="))
    );
    // What replaces the executable goes on telling.
    server.signal(Signal::SIGUSR2);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    server.stop();
    manager.wait_for("STOPPING=1");
}

/// A reload that is begun and never ended would be waited for (systemd.service(5), notify-reload).
#[test]
fn a_reload_that_fails_is_told_to_be_over() {
    let folder = Folder::new("notify");
    let component = folder.path().join("app.wat");
    fs::copy(root().join(HELLO), &component).unwrap();
    let mut manager = NotifySocket::new();
    let server = Server::component(&component)
        .prepared(|command| manager.listen_to(command))
        .start();
    manager.wait_for("READY=1");
    fs::write(&component, "no component").unwrap();
    server.signal(Signal::SIGHUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    assert_eq!(get(server.address, "/").status, 200);
    server.wait_for("The reload failed");
    // It is still so when somebody looks, and until another version is served.
    let told = manager.lines.last().unwrap();
    assert!(
        told.starts_with("STATUS=Serving with 1 worker; the last reload failed: "),
        "{told}"
    );
    server.signal(Signal::SIGTTIN);
    manager.wait_for("STATUS=Serving with 2 workers; the last reload failed: ");
    // Of two that fail, the reason of the one before is not told when the second is over.
    fs::write(&component, "(component)").unwrap();
    server.signal(Signal::SIGHUP);
    manager.wait_for("RELOADING=1");
    let over = manager.message(DEADLINE).unwrap();
    assert!(
        over.starts_with("READY=1\n") && over.contains("exports no wasi:http handler"),
        "{over}"
    );
    fs::copy(root().join(HELLO), &component).unwrap();
    server.signal(Signal::SIGHUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    let told = manager.lines.iter().rev();
    let status = told.clone().find(|line| line.starts_with("STATUS=Serving"));
    assert_eq!(status.unwrap(), "STATUS=Serving with 2 workers");
}

#[test]
fn a_start_that_fails_is_told_with_its_reason_until_it_is_over() {
    let mut manager = NotifySocket::new();
    let mut command = wasmserve();
    command.args(["no/such.wasm", "--port", "0"]);
    manager.listen_to(&mut command);
    assert_eq!(finished(command).status.code(), Some(3));
    while manager.message(Duration::from_millis(50)).is_some() {}
    let status = |line: &&String| line.starts_with("STATUS=");
    let told: Vec<&String> = manager.lines.iter().filter(status).collect();
    let [starting, failed] = told[..] else {
        panic!("{told:?}");
    };
    assert!(starting.starts_with("STATUS=Starting: "), "{starting}");
    assert!(
        failed.starts_with("STATUS=Failed: component `no/such.wasm`: "),
        "{failed}"
    );
    assert!(manager.lines.iter().any(|line| line == "STOPPING=1"));
}

#[test]
fn the_watchdog_hears_the_supervisor_for_as_long_as_its_loop_goes_round() {
    let mut manager = NotifySocket::new();
    // Less than the time between two health checks.
    let server = Server::component(HELLO)
        .prepared(|command| manager.listen_to(command))
        .env("WATCHDOG_USEC", "300000")
        .start();
    manager.wait_for("READY=1");
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    server.signal(Signal::SIGSTOP);
    // What was sent before; then nothing for several times as long as the watchdog waits.
    while manager.message(Duration::from_millis(1500)).is_some() {}
    server.signal(Signal::SIGCONT);
    manager.wait_for("WATCHDOG=1");
    server.stop();
}

#[test]
fn a_watchdog_of_another_process_is_not_told() {
    let mut manager = NotifySocket::new();
    let server = Server::component(HELLO)
        .prepared(|command| manager.listen_to(command))
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1")
        .start();
    manager.wait_for("READY=1");
    while manager.message(Duration::from_millis(500)).is_some() {}
    assert!(!manager.lines.iter().any(|line| line == "WATCHDOG=1"));
    server.stop();
}

/// A supervisor that waited for it would be the first that hangs.
#[test]
fn a_service_manager_that_does_not_listen_is_not_waited_for() {
    let manager = NotifySocket::new();
    // Nobody reads: the queue of a datagram socket is full after some ten messages.
    let server = Server::component(HELLO)
        .prepared(|command| manager.listen_to(command))
        .env("WATCHDOG_USEC", "4000")
        .start();
    for _ in 0..3 {
        let first = server.workers();
        server.signal(Signal::SIGHUP);
        eventually("the worker is replaced", || {
            let now = server.workers();
            now.len() == 1 && now != first
        });
    }
    server.stop();
}

#[test]
fn an_idle_server_ends_and_the_next_connection_starts_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..2 {
        // The connection is there before the server is.
        let mut connection = Connection::open(address);
        connection.get("/").send().unwrap();
        let passed = vec![listener.try_clone().unwrap().into()];
        let command = activated(
            &[HELLO, "--exit-idle", "1s", "--timeout-keep-alive", "30s"],
            passed,
            "web",
        );
        let mut server = Server::command(command).start();
        assert_eq!(connection.response().unwrap().status, 200);
        // A connection that is kept is no idleness, whatever it does.
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(connection.get("/").response().unwrap().status, 200);
        drop(connection);
        server.wait_for("No connection for 1 s");
        assert_eq!(server.wait().code(), Some(0));
    }
}
