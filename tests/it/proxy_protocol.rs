//! The PROXY protocol: who is named is the client, and only trusted proxies name anybody.

use crate::harness::{Connection, Folder, HELLO, Server, eventually, guest, text};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn serve(arguments: &[&str]) -> Server {
    Server::component(HELLO)
        .arg("--proxy-protocol")
        .args(arguments)
        .start()
}

/// Version 2 of a header that names 192.0.2.7:4096, with 300 bytes of other things in it.
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend(312_u16.to_be_bytes());
    header.extend([192, 0, 2, 7, 192, 0, 2, 1, 0x10, 0x00, 0, 80]);
    header.extend([0x04, 1, 41]);
    header.extend([0; 297]);
    header
}

#[test]
fn whom_a_trusted_proxy_names_is_the_client() {
    let server = serve(&[]);
    let mut first = server.connect();
    first
        .write("PROXY TCP6 2001:db8::7 ::1 4096 80\r\n")
        .unwrap();
    assert_eq!(
        first.get("/one").response().unwrap().text(),
        "Hello, world!\n"
    );
    assert_eq!(first.get("/again").response().unwrap().status, 200);
    server.wait_for("[2001:db8::7]:4096 - \"GET /one HTTP/1.1\" 200 OK");
    server.wait_for("[2001:db8::7]:4096 - \"GET /again HTTP/1.1\" 200 OK");
    let mut second = server.connect();
    second.write([version_2(), GET.into()].concat()).unwrap();
    assert_eq!(second.response().unwrap().status, 200);
    server.wait_for("192.0.2.7:4096 - \"GET / HTTP/1.1\" 200 OK");
}

#[test]
fn the_guest_sees_the_scheme_that_the_client_speaks_with_the_proxy() {
    let server = Server::component(guest("behaviours"))
        .arg("--proxy-protocol")
        .start();
    for (flags, scheme) in [(1, "Https"), (0, "Http")] {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14".to_vec();
        header.extend([192, 0, 2, 7, 192, 0, 2, 1, 0x10, 0x00, 0, 80]);
        header.extend([0x20, 0, 5, flags, 0, 0, 0, 0]);
        let mut client = server.connect();
        client.write(header).unwrap();
        let seen = client.get("/request").response().unwrap().text();
        assert!(
            seen.contains(&format!("scheme Some(Scheme::{scheme})")),
            "{seen}"
        );
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    let server = serve(&[]);
    let mut client = server.connect();
    for piece in [version_2(), GET.into()].concat().chunks(40) {
        client.write(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.response().unwrap().status, 200);
    server.wait_for("192.0.2.7:4096 - \"GET / HTTP/1.1\" 200 OK");
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let server = serve(&[]);
    for header in [&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], b"PROXY UNKNOWN\r\n"] {
        let mut client = server.connect();
        client.write(header).unwrap();
        assert_eq!(client.get("/").response().unwrap().status, 200);
    }
    let lines = server.wait_for_count("\"GET / HTTP/1.1\" 200 OK", 2);
    assert!(lines.contains("127.0.0.1:"), "{lines}");
}

#[test]
fn without_a_header_a_trusted_proxy_is_not_served() {
    let server = serve(&["--timeout-header", "300ms"]);
    let mut client = server.connect();
    client.write(GET).unwrap();
    assert_eq!(client.rest().unwrap_or_default(), b"");
    server.wait_for("closed: no PROXY header: something else came");
    let mut silent = server.connect();
    silent.write("PROXY TCP4 192.0.2.7 ").unwrap();
    let start = Instant::now();
    assert_eq!(silent.rest().unwrap_or_default(), b"");
    assert!(start.elapsed() < Duration::from_secs(5));
    server.wait_for("closed: no PROXY header: it did not come in time");
    // Health checks connect and go.
    drop(server.connect());
    let mut next = server.connect();
    next.write("PROXY UNKNOWN\r\n").unwrap();
    assert_eq!(next.get("/").response().unwrap().status, 200);
    assert_eq!(server.printed().matches("no PROXY header").count(), 2);
}

#[test]
fn a_header_that_was_changed_on_its_way_is_not_believed() {
    let server = serve(&[]);
    for (checksum, is_right) in [([0xa1, 0x55, 0xb0, 0x8f], true), ([0; 4], false)] {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
        header.extend([192, 0, 2, 7, 192, 0, 2, 1, 0x10, 0x00, 0, 80]);
        header.extend([3, 0, 4]);
        header.extend(checksum);
        let mut client = server.connect();
        client.write([header, GET.into()].concat()).unwrap();
        match is_right {
            true => assert_eq!(client.response().unwrap().status, 200),
            false => assert_eq!(client.rest().unwrap_or_default(), b""),
        }
    }
    server.wait_for("closed: no PROXY header: its checksum is wrong");
}

#[test]
fn from_strangers_a_header_is_not_accepted() {
    let server = serve(&["--forwarded-allow-ips", "192.0.2.1"]);
    let mut stranger = server.connect();
    stranger
        .write("PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n")
        .unwrap();
    stranger.write(GET).unwrap();
    let answer = String::from_utf8(stranger.rest().unwrap_or_default()).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") || answer.is_empty(),
        "{answer}"
    );
    let mut honest = server.connect();
    assert_eq!(honest.get("/").response().unwrap().status, 200);
    assert!(
        !server.printed().contains("192.0.2.7"),
        "{}",
        server.printed()
    );
}

#[test]
fn a_unix_peer_is_a_proxy_where_it_is_trusted() {
    let folder = Folder::new("proxy");
    let path = folder.socket();
    let server = serve(&["--uds", text(&path), "--forwarded-allow-ips", "unix"]);
    let mut client = Connection::open(path.as_path());
    client
        .write("PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n")
        .unwrap();
    assert_eq!(client.get("/").response().unwrap().status, 200);
    server.wait_for("192.0.2.7:4096 - \"GET / HTTP/1.1\" 200 OK");
    let mut direct = server.connect();
    assert_eq!(direct.get("/").response().unwrap().status, 200);
}

#[test]
fn who_has_said_nothing_does_not_hold_up_a_stop() {
    let mut server = serve(&[]);
    let _silent = server.connect();
    let mut client = server.connect();
    client.write("PROXY UNKNOWN\r\n").unwrap();
    assert_eq!(client.get("/").response().unwrap().status, 200);
    server.signal(Signal::SIGTERM);
    let start = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    eventually("the port is closed", || {
        Connection::try_open(server.address).is_err()
    });
}
