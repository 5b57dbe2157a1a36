//! Clear text and TLS side by side: which address speaks what, and one that sends all to https.

use crate::harness::certificates::Authority;
use crate::harness::{Connection, Folder, HELLO, Server, finished, get, send, text, upload};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::process::Command;

/// Serves with a certificate for `a.test`, and with these arguments alone.
fn serve(authority: &Authority, arguments: &[&str]) -> Server {
    let pair = authority.issue("server", &["a.test"]);
    Server::component(HELLO)
        .certificate(&pair)
        .args(arguments)
        .without_port()
        .start()
}

/// The address of the line that begins like this.
fn announced(server: &Server, scheme: &str, end: &str) -> SocketAddr {
    let all = server.announced();
    let mut found = all.iter().filter_map(|line| {
        let address = line.strip_prefix(scheme)?.strip_suffix(end)?;
        address.parse().ok()
    });
    found.next().unwrap_or_else(|| panic!("{all:?}"))
}

/// Serves over TLS, and at the address that is given back redirects there.
fn serve_with_redirect(authority: &Authority) -> (Server, SocketAddr) {
    let server = serve(
        authority,
        &["--port", "0", "--redirect-http", "127.0.0.1:0"],
    );
    server.wait_for_count("wasmserve running on", 2);
    let plain = announced(&server, "http://", " (redirects to https)");
    (server, plain)
}

fn curl(authority: &Authority, resolved: SocketAddr, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]);
    command.args(["--cacert", &authority.file()]);
    command.args(["--connect-to", &format!("a.test::{resolved}")]);
    command.args(arguments);
    let output = finished(command);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn every_request_is_redirected_to_the_same_resource_over_https() {
    let authority = Authority::new();
    let (server, plain) = serve_with_redirect(&authority);
    let https = announced(&server, "https://", "").port();
    for (method, path) in [("GET", "/a/b?c=d&e"), ("POST", "/"), ("DELETE", "/%20")] {
        let mut client = Connection::open(plain);
        let answer = client
            .request(method, path)
            .host("a.test:80")
            .response()
            .unwrap();
        assert_eq!(answer.status, 308);
        let location = format!("https://a.test:{https}{path}");
        assert_eq!(answer.header("location"), Some(location.as_str()));
    }
    server.wait_for("\"GET /a/b?c=d&e HTTP/1.1\" 308 Permanent Redirect");
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test/@evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n",
    ] {
        let answer = send(plain, head);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
    }
}

/// A client that writes first and then reads lost the answer.
#[test]
fn who_uploads_is_redirected_too() {
    let authority = Authority::new();
    let (_server, plain) = serve_with_redirect(&authority);
    for length in [100_000, 1_000_000, 5_000_000] {
        for field in ["", "Connection: close\r\n", "Expect: 100-continue\r\n"] {
            let field = format!("Host: a.test\r\n{field}");
            let answer = upload(plain, "/a", &field, length);
            let answer = answer.unwrap_or_else(|error| panic!("{field:?}: {error}"));
            assert!(answer.starts_with("HTTP/1.1 308 "), "{field:?}: {answer}");
        }
    }
}

#[test]
fn a_client_that_follows_arrives_also_after_reloads_and_a_new_executable() {
    let authority = Authority::new();
    let (server, plain) = serve_with_redirect(&authority);
    let follow = || {
        let url = format!("http://127.0.0.1:{}/x", plain.port());
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--insecure",
            "--location",
            "--max-time",
            "20",
            &url,
        ]);
        String::from_utf8(finished(command).stdout).unwrap()
    };
    assert_eq!(follow(), "Hello, world!\n");
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 1);
    assert_eq!(follow(), "Hello, world!\n");
    server.signal(Signal::SIGUSR2);
    server.wait_for("ended: replaced with the executable");
    assert_eq!(follow(), "Hello, world!\n");
}

#[test]
fn with_a_certificate_every_address_speaks_tls_that_does_not_say_otherwise() {
    let authority = Authority::new();
    let folder = Folder::new("tls");
    let path = folder.socket();
    let path = text(&path);
    let clear = format!("unix+http:{path}.clear");
    let bind = [
        "--bind",
        "127.0.0.1:0",
        "--bind",
        "http://127.0.0.1:0",
        "--bind",
        &clear,
    ];
    let server = serve(&authority, &[&["--uds", path], &bind[..]].concat());
    server.wait_for_count("wasmserve running on", 4);
    let tls = announced(&server, "https://", "");
    let answer = curl(&authority, tls, &["https://a.test/"]);
    assert_eq!(answer, "Hello, world!\n");
    assert_eq!(get(announced(&server, "http://", ""), "/").status, 200);
    let answer = curl(&authority, tls, &["--unix-socket", path, "https://a.test/"]);
    assert_eq!(answer, "Hello, world!\n");
    let path = format!("{path}.clear");
    let answer = curl(&authority, tls, &["--unix-socket", &path, "http://a.test/"]);
    assert_eq!(answer, "Hello, world!\n");
}

#[test]
fn a_proxy_names_the_client_before_tls_begins() {
    let authority = Authority::new();
    let server = serve(&authority, &["--port", "0", "--proxy-protocol"]);
    let tls = announced(&server, "https://", "");
    let named = ["--haproxy-protocol", "https://a.test/proxied"];
    assert_eq!(curl(&authority, tls, &named), "Hello, world!\n");
    server.wait_for("127.0.0.1:");
    let mut raw = Connection::open(tls);
    raw.write("PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n")
        .unwrap();
    raw.get("/").host("a.test").send().unwrap();
    let answer = raw.rest().unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    server.wait_for("192.0.2.7:4096 - ");
}
