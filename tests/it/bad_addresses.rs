//! Addresses that cannot be had: each is told at once, in one line, before anything serves.

use crate::harness::{Folder, Unprivileged, file, hello, refused, refused_by};
use crate::harness::{leave_open, wasmserve};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(
        &[&hello(), "--port", &port],
        4,
        &[&format!("http://127.0.0.1:{port}"), "in use", "--port"],
    );
}

#[test]
fn an_address_that_is_not_ours() {
    refused(
        &[&hello(), "--host", "192.0.2.1", "--port", "0"],
        4,
        &["192.0.2.1", "--host"],
    );
}

#[test]
fn a_port_without_permission() {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim() == "0") {
        println!("every port may be bound by everybody here");
        return;
    }
    let unprivileged = Unprivileged::new("port");
    let component = unprivileged.file("hello.wat", 0o644);
    fs::copy(hello(), &component).unwrap();
    let mut command = unprivileged.command();
    command.args([&component, "--port", "80"]);
    refused_by(
        command,
        4,
        &["http://127.0.0.1:80", "--port", "Permission denied"],
    );
}

#[test]
fn malformed_addresses() {
    let hello = hello();
    for (option, text, words) in [
        ("--bind", "127.0.0.1", &["no port", "127.0.0.1:8000"][..]),
        ("--bind", "::1:80", &["ambiguous", "[::1]:8000"]),
        ("--bind", "ftp://127.0.0.1:80", &["no known kind", "unix:"]),
        ("--bind", "fd://x", &["not the number of a descriptor"]),
        (
            "--bind",
            "127.0.0.256:80",
            &["neither an IP address nor a name"],
        ),
        ("--fd", "1", &["standard", "3 or higher"]),
        ("--bind", "unix:", &["empty"]),
        ("--uds-permissions", "rw", &["`rw`", "660"]),
        ("--redirect-http", "80", &["no port"]),
        (
            "--redirect-http",
            "127.0.0.1:80",
            &["no https address", "--ssl-certfile"],
        ),
        ("--backlog", "0", &["at least 1"]),
    ] {
        let words = [&[option], words].concat();
        refused(&[&hello, option, text], 2, &words);
    }
    let long = format!("/tmp/{}", "x".repeat(120));
    refused(&[&hello, "--uds", &long], 2, &["--uds", "125 bytes", "107"]);
}

#[test]
fn a_protocol_of_proxies_without_proxies() {
    let arguments = ["--proxy-protocol", "--forwarded-allow-ips", ""];
    let words = [
        "--proxy-protocol",
        "nobody is trusted",
        "--forwarded-allow-ips",
    ];
    refused(&[&[hello().as_str()], &arguments[..]].concat(), 2, &words);
}

#[test]
fn a_unix_socket_in_use() {
    let folder = Folder::new("used");
    let path = folder.socket();
    let _used = UnixListener::bind(&path).unwrap();
    let path = path.display().to_string();
    let words = [path.as_str(), "in use", "--uds"];
    refused(&[&hello(), "--uds", &path], 4, &words);
}

#[test]
fn a_unix_socket_in_use_whose_backlog_is_full() {
    let folder = Folder::new("full");
    let path = folder.socket();
    let full = UnixListener::bind(&path).unwrap();
    let backlog = nix::sys::socket::Backlog::new(0).unwrap();
    nix::sys::socket::listen(&full, backlog).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    let path = path.display().to_string();
    refused(&[&hello(), "--uds", &path], 4, &[&path, "in use"]);
}

#[test]
fn a_unix_socket_where_something_else_is() {
    let path = file("no-socket", "precious");
    refused(&[&hello(), "--uds", &path], 4, &[&path, "something else"]);
    assert_eq!(fs::read_to_string(path).unwrap(), "precious");
}

#[test]
fn a_unix_socket_without_a_directory() {
    let path = "/proc/self/no-such-directory/http.sock";
    refused(&[&hello(), "--uds", path], 4, &[path, "make its directory"]);
}

#[test]
fn a_unix_socket_without_permission() {
    let unprivileged = Unprivileged::new("uds");
    let component = unprivileged.file("hello.wat", 0o644);
    fs::copy(hello(), &component).unwrap();
    let folder = unprivileged.0.join("locked");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
    let path = folder.join("http.sock").display().to_string();
    let mut command = unprivileged.command();
    command.args([&component, "--uds", &path]);
    refused_by(
        command,
        4,
        &[&path, "Permission denied", "write to its directory"],
    );
}

#[test]
fn descriptors_that_are_no_listening_sockets() {
    let hello = hello();
    refused(
        &[&hello, "--fd", "77"],
        4,
        &["descriptor 77", "was not left open", "--fd"],
    );
    let (pair, _other) = UnixStream::pair().unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    for (fd, words) in [
        (OwnedFd::from(null), "is not a socket"),
        (pair.into(), "is a socket that does not listen"),
    ] {
        let mut command = wasmserve();
        command.args([&hello, "--bind", "fd://3"]);
        leave_open(&mut command, vec![fd]);
        refused_by(command, 4, &["descriptor 3", words, "--bind"]);
    }
}

#[test]
fn sockets_of_a_service_manager_that_are_none() {
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3</dev/null"]);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    command.arg(wasmserve().get_program()).arg(hello());
    let words = ["descriptor 3 (`web`)", "is not a socket", "Accept=no"];
    refused_by(command, 4, &words);
}
