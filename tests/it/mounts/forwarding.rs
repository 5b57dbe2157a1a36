//! Which requests are a mount's, and what comes of them on their way.

use super::{SITE, Site};
use crate::harness::http2::{END_HEADERS, Http2, head};
use crate::harness::websocket::{closed, next, open, refused};
use crate::harness::{Connection, HELLO, Server, eventually, get, guest};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

fn ask(server: &Server, host: &str, target: &str) -> (u16, String) {
    let mut connection = server.connect();
    let response = connection.get(target).host(host).response().unwrap();
    (response.status, response.text())
}

#[test]
fn the_host_and_the_longest_path_say_who_answers_and_each_has_what_it_was_given() {
    let site = Site::new(SITE);
    let server = site.server().start();
    for (host, target, expected) in [
        ("a", "/", "Hello, world!\n"),
        ("a", "/apix/environment", "Hello, world!\n"),
        ("a", "/api/environment", "WHO=api\n"),
        ("a:80", "/api/environment?x=/api/v2", "WHO=api\n"),
        ("a", "/api/v2/environment", ""),
        ("a", "/api/v23/environment", "ok\n"),
        ("admin.example.com", "/environment", "WHO=admin\n"),
        ("Admin.Example.com:8000", "/environment", "WHO=admin\n"),
        ("admin.example.com", "/api/environment", "ok\n"),
    ] {
        assert_eq!(
            ask(&server, host, target),
            (200, expected.to_owned()),
            "{host}{target}"
        );
    }
    // Another reader would find another mount in these.
    for target in [
        "/%61pi/environment",
        "/x/../api/environment",
        "/api%2Fv2/environment",
    ] {
        assert_eq!(ask(&server, "a", target).0, 400, "{target}");
    }
}

/// Guards against clients on this machine, which are trusted proxies unless somebody says otherwise: what they say of
/// the host chose who answers.
#[test]
fn what_a_proxy_says_of_the_host_is_told_and_chooses_nobody() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let asked = |host: &str, target: &str, field: (&str, &str)| {
        let mut connection = server.connect();
        let request = connection.get(target).host(host).header(field.0, field.1);
        request.response().unwrap().text()
    };
    for field in [
        ("X-Forwarded-Host", "admin.example.com"),
        ("Forwarded", "for=192.0.2.1;host=admin.example.com"),
    ] {
        assert_eq!(asked("a", "/environment", field), "Hello, world!\n");
        let seen = asked("a", "/api/request", field);
        assert!(seen.contains("authority admin.example.com\n"), "{seen}");
    }
    let away = ("X-Forwarded-Host", "a");
    let said = asked("admin.example.com", "/environment", away);
    assert_eq!(said, "WHO=admin\n");
    let seen = asked("admin.example.com", "/request", away);
    assert!(seen.contains("authority a\n"), "{seen}");
}

#[test]
fn a_mount_sees_the_request_as_it_would_without_the_front() {
    let site = Site::new(SITE);
    let server = site.server().arg("--no-proxy-headers").start();
    let described = |target: &str| {
        let mut connection = server.connect();
        let request = connection.request("PUT", target).host("a.example");
        let request = request
            .header("X-Mine", "caf\u{e9}")
            .header("X-Forwarded-For", "192.0.2.9");
        request.body("12345").response().unwrap().text()
    };
    let seen = described("/api/request?a=%20b");
    for line in [
        "method Method::Put",
        "path /request?a=%20b",
        "authority a.example",
        "header x-mine: caf\u{e9}",
        "header x-forwarded-prefix: /api",
        "header content-length: 5",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(!seen.contains("192.0.2.9"), "{seen}");
    assert!(
        seen.contains("header x-forwarded-for: 127.0.0.1\n"),
        "{seen}"
    );
    let id = seen
        .lines()
        .find_map(|line| line.strip_prefix("header x-request-id: "));
    assert!(id.is_some_and(|id| id.len() == 32), "{seen}");
}

#[test]
fn bodies_heads_and_failures_arrive_over_both_protocols() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let big = get(server.address, "/api/big?bytes=3000000");
    assert_eq!((big.status, big.body.len()), (200, 3_000_000));
    let mut connection = server.connect();
    let response = connection
        .request("HEAD", "/api/big?bytes=3000000")
        .response();
    assert!(response.unwrap().body.is_empty());
    // The connection goes on after each.
    let failed = connection.get("/api/trap-before-head").response().unwrap();
    assert_eq!(failed.status, 500);
    assert_eq!(connection.get("/api/x").response().unwrap().text(), "ok\n");
    let mut http2 = Http2::open(server.address).unwrap();
    let stream = http2.get("/api/environment").unwrap();
    assert_eq!(http2.answer(stream).unwrap(), b"WHO=api\n");
    let stream = http2
        .ask(5, &head("GET", "/api/big?bytes=60000", &[]))
        .unwrap();
    assert_eq!(http2.answer(stream).unwrap().len(), 60_000);
    // What its guest breaks off is broken off here.
    let mut broken = server.connect();
    broken.get("/api/trap-after-head").send().unwrap();
    assert!(broken.response().is_err());
    server.wait_for("trapped after the head");
}

#[test]
fn the_limits_of_one_mount_are_its_own() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let status = |target| get(server.address, target).status;
    assert_eq!(status("/api/hog"), 500);
    assert_eq!(status("/api/v2/counter"), 200);
    let counted = get(server.address, "/api/v2/counter").text();
    assert_eq!(counted.trim(), "2");
}

#[test]
fn a_client_that_leaves_ends_what_a_mount_does_for_it() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let mut slow = Connection::open(server.address);
    slow.write("GET /api/sleep?ms=30000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let in_flight = || server.status()["mounts"][0]["requests"]["in_flight"].as_u64();
    eventually("it is asked", || in_flight() == Some(1));
    drop(slow);
    eventually("it is over", || in_flight() == Some(0));
}

#[test]
fn without_an_application_what_nobody_mounted_is_not_found() {
    let site = Site::new("[mount]\n\"/api\" = \"{behaviours}\"\n");
    let server = site.server().start();
    assert_eq!(get(server.address, "/api/x").text(), "ok\n");
    let missing = get(server.address, "/x");
    assert_eq!(
        (missing.status, missing.header("server")),
        (404, Some("wasmserve"))
    );
    server.stop();
}

#[test]
fn websockets_of_a_mount_pass_and_are_closed_when_the_server_goes() {
    let component = guest("behaviours-websocket");
    let server = Server::component(HELLO)
        .option("--mount", format!("/ws={component}"))
        .start();
    let mut socket = open(&server, "/ws/echo");
    for message in [Message::text("h\u{e4}"), Message::binary(vec![7; 300_000])] {
        socket.send(message.clone()).unwrap();
        assert!(next(&mut socket) == message);
    }
    // The application has none, and says so in its own way.
    assert_eq!(refused(&server, "/echo").0, 200);
    server.signal(Signal::SIGTERM);
    let (code, _) = closed(&mut socket);
    assert_eq!(code, 1001);
}

/// Between the front and its server it is HTTP/2, which is nobody else's business.
#[test]
fn a_mount_is_asked_for_a_websocket_as_its_client_has_asked() {
    let component = guest("behaviours-websocket");
    let server = Server::component(HELLO)
        .option("--mount", format!("/ws={component}"))
        .start();
    let mut socket = open(&server, "/ws/opening");
    let mut awaited = vec![
        "method GET",
        "path /opening",
        "version 1.1",
        "header upgrade: websocket",
        "header connection: Upgrade",
        "header sec-websocket-key: ",
    ];
    while !awaited.is_empty() {
        let Message::Text(line) = next(&mut socket) else {
            panic!("there is no {awaited:?}");
        };
        awaited.retain(|begins| !line.starts_with(begins));
    }
    let mut trapped = open(&server, "/ws/trap");
    trapped.send(Message::text("now")).unwrap();
    assert_eq!(closed(&mut trapped).0, 1011);
    server.wait_for("GET /ws/trap");
}

/// What the application is given is nothing for what is mounted beside it.
#[test]
fn fields_that_guests_are_given_are_those_of_their_own_table() {
    let site = Site::new(
        "component = \"{behaviours}\"\nrequest-header = [\"X-Who: application\", \"Via: 1.1 a\"]\n\
         client-header = \"X-Client\"\n[mount.\"/api\"]\ncomponent = \"{behaviours}\"\n\
         request-header = [\"Via: 1.1 b\"]\n",
    );
    let server = site.server().start();
    let seen = |target| {
        let mut connection = server.connect();
        let request = connection.get(target).header("X-Who", "client");
        request.response().unwrap().text()
    };
    let application = seen("/request");
    for line in [
        "header x-who: application\n",
        "header via: 1.1 a\n",
        "header x-client: 127.0.0.1\n",
    ] {
        assert!(application.contains(line), "{line} in {application}");
    }
    let mounted = seen("/api/request");
    for line in ["header x-who: client\n", "header via: 1.1 b\n"] {
        assert!(mounted.contains(line), "{line} in {mounted}");
    }
    for line in ["1.1 a", "x-client"] {
        assert!(!mounted.contains(line), "{line} in {mounted}");
    }
}

/// Whoever read the body late, and gave it up then, had the end of the answer wait for a client that sends nothing.
#[test]
fn an_answer_of_a_mount_ends_without_the_body_that_its_client_was_not_asked_for() {
    let site = Site::new(SITE);
    let server = site.server().start();
    for target in ["/api/ignore-body", "/ignore-body"] {
        let mut http2 = Http2::open(server.address).unwrap();
        let fields = [("expect", "100-continue"), ("content-length", "100000")];
        let start = Instant::now();
        let stream = http2.ask(END_HEADERS, &head("POST", target, &fields));
        let body = http2.answer(stream.unwrap()).unwrap();
        let expected: &[u8] = match target.starts_with("/api") {
            true => b"ignored\n",
            false => b"Hello, world!\n",
        };
        assert_eq!(body, expected, "{target}");
        // What nobody wants is thrown away for as long as this.
        assert!(start.elapsed() < Duration::from_secs(5), "{target}");
    }
}

/// curl (7.88) with HTTP/2 that waits to be asked for its body knows the end of an answer by its length alone. Answers
/// of mounted components lost that.
#[test]
fn curl_that_is_not_asked_for_its_body_has_its_answer_at_once_whoever_answers() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("not-asked-for");
    std::fs::write(&file, vec![b'x'; 100_000]).unwrap();
    let mount = format!("/x={}", guest("behaviours"));
    let server = Server::component(guest("behaviours"))
        .option("--mount", mount)
        .start();
    for protocol in ["--http1.1", "--http2-prior-knowledge"] {
        for (target, said) in [
            ("/ignore-body", "ignored\n200"),
            ("/respond?status=404&body=x", "x404"),
            ("/x/ignore-body", "ignored\n200"),
            ("/x/respond?status=404&body=x", "x404"),
        ] {
            let output = std::process::Command::new("curl")
                .args(["--silent", protocol, "--max-time", "60"])
                .args(["--header", "expect: 100-continue", "--data-binary"])
                .arg(format!("@{}", file.display()))
                .args(["--write-out", "%{http_code}"])
                .arg(format!("http://{}{target}", server.address))
                .output()
                .expect("curl is there");
            let answer = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{protocol} {target}: {answer}");
            assert_eq!(answer, said, "{protocol} {target}");
        }
    }
}
