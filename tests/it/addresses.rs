//! Where it listens: every kind of address, what is announced of it, and what is left behind.

use crate::harness::{
    Connection, Folder, HELLO, Server, eventually, finished, get, guest, has_ipv6, root, text,
    wasmserve,
};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Serves with these arguments alone.
fn serve(arguments: &[&str]) -> Server {
    Server::component(HELLO)
        .args(arguments)
        .without_port()
        .start()
}

fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]);
    command.args(arguments);
    let output = finished(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[test]
fn every_address_is_served_and_announced_as_it_was_bound() {
    if !has_ipv6() {
        return;
    }
    let folder = Folder::new("every");
    let path = folder.socket();
    let unix = format!("unix:{}", path.display());
    let server = serve(&[
        "--host",
        "::1",
        "--port",
        "0",
        "--bind",
        "127.0.0.1:0",
        "--bind",
        &unix,
        "--workers",
        "2",
    ]);
    server.wait_for_count("wasmserve running on", 3);
    let announced = server.announced();
    assert!(announced[0].starts_with("http://[::1]:"), "{announced:?}");
    assert!(
        announced[1].starts_with("http://127.0.0.1:"),
        "{announced:?}"
    );
    assert_eq!(announced[2], format!("unix socket {}", path.display()));
    for url in &announced[..2] {
        assert_eq!(curl(&["--globoff", url]), "Hello, world!\n", "{url}");
    }
    for _ in 0..5 {
        let answer = curl(&["--unix-socket", text(&path), "http://localhost/x"]);
        assert_eq!(answer, "Hello, world!\n");
    }
    server.wait_for("unix: - \"GET /x HTTP/1.1\" 200");
    server.stop();
    assert!(!path.exists(), "the socket's file is left behind");
}

#[test]
fn an_ipv6_wildcard_takes_clients_of_both_kinds_under_their_own_names() {
    if !has_ipv6() {
        return;
    }
    let server = serve(&["--host", "::", "--port", "0"]);
    assert!(server.announced()[0].starts_with("http://[::]:"));
    let port = server.address.port();
    for address in [
        SocketAddr::from(([127, 0, 0, 1], port)),
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)),
    ] {
        assert_eq!(get(address, "/").status, 200);
    }
    server.wait_for("INFO:     127.0.0.1:");
    server.wait_for("INFO:     [::1]:");
}

#[test]
fn wildcards_of_both_kinds_share_a_port_where_both_are_named() {
    if !has_ipv6() {
        return;
    }
    let free = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (v4, v6) = (format!("0.0.0.0:{port}"), format!("[::]:{port}"));
    for pair in [[&v4, &v6], [&v6, &v4]] {
        let server = serve(&["--bind", pair[0], "--bind", pair[1]]);
        server.wait_for_count("wasmserve running on", 2);
        assert_eq!(
            get(SocketAddr::from(([127, 0, 0, 1], port)), "/").status,
            200
        );
        server.stop();
    }
}

#[test]
fn a_name_binds_all_of_its_addresses_on_one_port() {
    if !has_ipv6() {
        return;
    }
    let server = serve(&["--host", "localhost", "--port", "0"]);
    server.wait_for_count("wasmserve running on", 2);
    let port = server.address.port();
    let expected = [
        format!("http://127.0.0.1:{port}"),
        format!("http://[::1]:{port}"),
    ];
    assert_eq!(server.announced(), expected);
}

#[test]
fn the_file_of_a_socket_has_the_permissions_that_were_asked_for() {
    let folder = Folder::new("mode");
    let path = folder.socket();
    for (arguments, mode) in [
        (&["--uds-permissions", "600"][..], 0o600),
        (&["--uds-permissions", "777"], 0o777),
        (&[], 0o666),
    ] {
        let server = serve(&[&["--uds", text(&path)], arguments].concat());
        let bits = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(bits, mode, "{bits:o}");
        server.stop();
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_by_one_of_several_who_try() {
    let folder = Folder::new("stale");
    let path = folder.socket();
    drop(UnixListener::bind(&path).unwrap());
    let attempt = || {
        let mut command = wasmserve();
        command.args([HELLO, "--uds", text(&path)]);
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        command.process_group(0).spawn().unwrap()
    };
    let mut all: Vec<_> = (0..4).map(|_| attempt()).collect();
    let mut refused = 0;
    eventually("all but one are refused", || {
        all.retain_mut(|child| match child.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(4));
                refused += 1;
                false
            }
            None => true,
        });
        refused == 3
    });
    assert_eq!(get(path.as_path(), "/").text(), "Hello, world!\n");
    let winner = nix::unistd::Pid::from_raw(all[0].id().cast_signed());
    nix::sys::signal::kill(winner, Signal::SIGTERM).unwrap();
    assert!(all[0].wait().unwrap().success());
    assert!(!path.exists());
}

#[test]
fn a_socket_that_a_killed_server_left_is_replaced() {
    let folder = Folder::new("killed");
    let path = folder.socket();
    let mut killed = serve(&["--uds", text(&path)]);
    let worker = killed.workers()[0];
    killed.signal(Signal::SIGKILL);
    killed.wait();
    // It goes when it sees that nobody looks after it.
    eventually("the worker has left", || {
        !Path::new(&format!("/proc/{worker}/maps")).exists()
            || fs::read_to_string(format!("/proc/{worker}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
    });
    assert!(path.exists());
    let server = serve(&["--uds", text(&path)]);
    assert!(server.printed().contains("which nobody listened on"));
    assert_eq!(get(path.as_path(), "/").status, 200);
}

#[test]
fn a_socket_that_somebody_else_put_in_place_of_ours_stays() {
    let folder = Folder::new("foreign");
    let path = folder.socket();
    let server = serve(&["--uds", text(&path)]);
    fs::remove_file(&path).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    server.stop();
    assert!(path.exists());
}

#[test]
fn a_server_that_cannot_start_leaves_no_socket_behind() {
    let folder = Folder::new("fails");
    let path = folder.socket();
    let broken = folder.path().join("broken.wat");
    fs::write(&broken, "(component)").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let hello = root().join(HELLO);
    for (component, bind, status) in [(&broken, "127.0.0.1:0", 3), (&hello, &taken, 4)] {
        let mut command = wasmserve();
        command
            .arg(component)
            .args(["--uds", text(&path), "--bind", bind]);
        assert_eq!(finished(command).status.code(), Some(status));
        assert!(!path.exists());
    }
}

#[test]
fn a_stop_closes_a_unix_socket_to_others_at_once() {
    let folder = Folder::new("stop");
    let path = folder.socket();
    let mut server = Server::component(guest("behaviours"))
        .option("--uds", text(&path))
        .without_port()
        .start();
    let mut busy = Connection::open(path.as_path());
    busy.get("/slow-stream?n=4&ms=150").send().unwrap();
    busy.head().unwrap();
    server.signal(Signal::SIGTERM);
    eventually("the socket is gone", || !path.exists());
    let mut chunks = 0;
    while busy.chunk().unwrap().is_some() {
        chunks += 1;
    }
    assert_eq!(chunks, 4);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_reload_keeps_the_addresses() {
    let folder = Folder::new("reload");
    let path = folder.socket();
    let server = serve(&["--uds", text(&path), "--port", "0"]);
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 1);
    assert_eq!(get(path.as_path(), "/").status, 200);
    assert!(!server.printed().contains("The addresses stay"));
}
