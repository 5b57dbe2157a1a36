//! Sockets that somebody else has bound: left open by number, or passed by a service manager.

use crate::harness::{
    Connection, Folder, HELLO, Server, activated, eventually, get, has_ipv6, leave_open, root,
    wasmserve,
};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn a_descriptor_that_was_left_open_is_served_and_its_file_left_alone() {
    let folder = Folder::new("fd");
    let path = folder.socket();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let server = Server::component(HELLO)
        .workers(2)
        .args(["--fd=3", "--bind=fd://4"])
        .without_port()
        .prepared(|command| leave_open(command, vec![tcp.into(), unix.into()]))
        .start();
    assert_eq!(server.address, address);
    for _ in 0..2 {
        assert_eq!(get(address, "/").status, 200);
        assert_eq!(get(path.as_path(), "/").status, 200);
        server.signal(Signal::SIGUSR2);
        server.wait_for_count("Application startup complete.", 4);
    }
    server.stop();
    assert!(path.exists(), "who made it removes it");
}

#[test]
fn sockets_of_a_service_manager_are_found_where_no_address_is_named() {
    if !has_ipv6() {
        return;
    }
    let (first, second) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        TcpListener::bind("[::1]:0").unwrap(),
    );
    let addresses = [&first, &second].map(|socket| socket.local_addr().unwrap());
    let sockets = vec![first.into(), second.into()];
    let server = Server::command(activated(&[HELLO], sockets, "web:web6")).start();
    server.wait_for_count("wasmserve running on", 2);
    assert_eq!(
        server.announced(),
        addresses.map(|address| format!("http://{address}"))
    );
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 2);
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Application startup complete.", 3);
    for address in addresses {
        assert_eq!(get(address, "/").status, 200);
    }
    // What a new executable finds is what this one has kept.
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("LISTEN_"), "{environment}");
    assert!(
        !server.printed().contains("The addresses stay"),
        "{}",
        server.printed()
    );
}

#[test]
fn sockets_of_a_service_manager_that_other_addresses_displace_are_told_of() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = [HELLO, "--port", "0"];
    let server = Server::command(activated(&arguments, vec![socket.into()], "web")).start();
    server.wait_for("not listening on descriptor 3 (`web`)");
    assert_eq!(server.announced().len(), 1);
}

#[test]
fn sockets_that_were_passed_to_somebody_else_are_not_taken() {
    let server = Server::component(HELLO)
        .env("PORT", "0")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .without_port()
        .start();
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn systemds_own_tool_is_understood() {
    let mut probe = Command::new("systemd-socket-activate");
    if probe.arg("--version").output().is_err() {
        println!("systemd-socket-activate is not installed");
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let executable = wasmserve();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &address.to_string(), "--fdname", "web"]);
    let cache = concat!("XDG_CACHE_HOME=", env!("CARGO_TARGET_TMPDIR"), "/cache");
    command.args(["--setenv", cache]);
    command
        .arg(executable.get_program())
        .arg(root().join(HELLO));
    let mut child = command.process_group(0).spawn().unwrap();
    // It starts the server for the first connection.
    eventually("somebody listens", || Connection::try_open(address).is_ok());
    assert_eq!(get(address, "/").text(), "Hello, world!\n");
    let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(group, Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}
