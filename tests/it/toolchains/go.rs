//! Go, built by the standard toolchain: a server of net/http, as it is.

mod databases;
mod layouts;
mod library;

use super::{built, trials};
use crate::harness::{Server, Upstream, eventually, finished, send, wasmserve};
use std::collections::BTreeSet;

const SERVER: &str = "guests/go/server";

#[test]
fn a_server_of_net_http_answers_as_it_does_natively() {
    let options = ["--env", "GREETING=good morning", "--reuse", "10"];
    let server = trials::serve(&built(SERVER), &options);
    let mut connection = server.connect();
    let root = connection.get("/").response().unwrap();
    assert_eq!(root.text(), "Hello, world!\n");
    assert_eq!(root.header("content-length"), Some("14"));
    assert_eq!(
        root.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let item = connection.get("/items/7?q=a%20b").response().unwrap();
    assert_eq!(item.text(), "{\"id\":\"7\",\"query\":\"a b\"}\n");
    assert_eq!(
        connection.get("/greeting").response().unwrap().text(),
        "good morning\n"
    );
    let created = trials::post(&mut connection, "/items", br#"{"name":"chair"}"#);
    assert_eq!(
        (created.status, created.text()),
        (201, "{\"created\":\"chair\"}\n".into())
    );
    assert_eq!(trials::post(&mut connection, "/items", b"{").status, 400);
    assert_eq!(trials::post(&mut connection, "/", b"").status, 405);
    let zone = connection.get("/zone").response().unwrap();
    assert_eq!(zone.text(), "2026-07-01 02:00:00 +0200 CEST\n");
    let cookies = connection.get("/cookies").response().unwrap();
    let set = cookies
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let set: Vec<&str> = set.map(|(_, value)| value.as_str()).collect();
    assert_eq!(set, ["a=1", "b=2"]);
}

#[test]
fn heads_and_bodies_are_those_of_net_http() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SERVER), &["--allow-http", &allowed]);
    let mut connection = server.connect();
    let longer = connection.get("/longer").response().unwrap();
    assert_eq!((longer.status, longer.text().as_str()), (200, "hello"));
    let whole = connection.request("OPTIONS", "*").response().unwrap();
    assert_eq!(
        (whole.status, whole.header("content-length")),
        (200, Some("0"))
    );
    let bodiless = connection.request("DELETE", "/length").response().unwrap();
    assert_eq!(bodiless.text(), "0 true 0\n");
    let head = "GET /length HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection
        .write(format!("{head}2\r\nab\r\n0\r\n\r\n"))
        .unwrap();
    let chunked = connection.response().unwrap();
    assert_eq!(chunked.text(), "-1 false 2\n");
    let counted = connection.post("/length").body("ab").response().unwrap();
    assert_eq!(counted.text(), "2 false 2\n");
    let late = connection.get("/late").response().unwrap();
    assert_eq!(late.header("x-early"), Some("a b"));
    assert_eq!(late.header("x-late"), None);
    let coded = connection.get("/coded").response().unwrap();
    assert_eq!(coded.header("content-type"), None);
    let fetch = format!("/fetch?url={allowed}/");
    connection.get(&fetch).response().unwrap();
    let seen = format!("{:?}", upstream.seen());
    assert!(seen.contains("Go-http-client/1.1"), "{seen}");
}

#[test]
fn a_handler_that_panics_fails_its_own_request() {
    let server = trials::serve(&built(SERVER), &["--reuse", "10"]);
    assert_eq!(
        server.connect().get("/throw").response().unwrap().status,
        500
    );
    server.wait_for("panic serving /throw: as asked");
    assert!(server.connect().get("/throw-late").response().is_err());
    assert_eq!(server.connect().get("/").response().unwrap().status, 200);
}

#[test]
fn a_server_of_net_http_asks_others() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SERVER), &["--allow-http", &allowed]);
    let mut connection = server.connect();
    let answer = connection
        .get(&format!("/fetch?url={allowed}/"))
        .response()
        .unwrap();
    assert_eq!((answer.status, answer.text()), (200, "hello".into()));
}

#[test]
fn a_client_is_known_by_its_address() {
    let server = trials::serve(&built(SERVER), &[]);
    let head = "GET /client HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
    let ask = |fields: &str| send(server.address, format!("{head}{fields}\r\n"));
    let plain = ask("Wasmserve-Client: 6.6.6.6:1\r\n");
    assert!(plain.contains("\r\n\r\n127.0.0.1:"), "{plain}");
    assert!(!plain.contains("6.6.6.6"), "{plain}");
    let forwarded = ask("X-Forwarded-For: 2001:db8::1\r\n");
    assert!(
        forwarded.contains("\r\n\r\n[2001:db8::1]:0 \n"),
        "{forwarded}"
    );
}

#[test]
fn a_server_may_be_asked_by_another_name() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SERVER), &["--allow-http", &allowed]);
    let mut connection = server.connect();
    connection
        .get(&format!("/fetch?url={allowed}/&host=other.example"))
        .response()
        .unwrap();
    let seen = upstream.seen();
    let head = seen.last().unwrap().head.to_ascii_lowercase();
    assert!(head.contains("\r\nhost: other.example\r\n"), "{head}");
    assert_eq!(head.matches("\r\nhost:").count(), 1, "{head}");
}

#[test]
fn a_main_function_that_ends_before_it_serves_ends_the_server() {
    for (variable, said, end) in [
        (
            "DATABASE=gone",
            "no database",
            "the guest exited with status 1",
        ),
        (
            "DATABASE=none",
            "",
            "the main function has returned, and serves nothing",
        ),
    ] {
        let mut command = wasmserve();
        command
            .arg(built(SERVER))
            .args(["--port", "0", "--workers", "2"]);
        command.args(["--env", variable, "--log-level", "error"]);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{printed}");
        assert!(printed.contains(said), "{printed}");
        assert!(printed.contains("Application startup failed"), "{printed}");
        let last = printed.lines().last().unwrap();
        assert!(
            last.ends_with(&format!("startup failed: {end}")),
            "{printed}"
        );
    }
}

/// `main` runs once for each version, and what it has printed with is there in each instance.
#[test]
fn each_request_begins_where_main_serves() {
    let path = built(SERVER);
    let watched = Server::component(&path)
        .workers(2)
        .arg("--no-access-log")
        .watched();
    let server = &watched.server;
    let mut connection = server.connect();
    let mut drawn = BTreeSet::new();
    for _ in 0..20 {
        assert_eq!(connection.get("/counter").response().unwrap().text(), "1\n");
        assert_eq!(connection.get("/say").response().unwrap().status, 200);
        drawn.insert(connection.get("/drawn").response().unwrap().text());
    }
    assert_eq!(drawn.len(), 20, "{drawn:?}");
    let printed = server.printed();
    let count = |text: &str| printed.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("main is about to serve"), 1, "{printed}");
    assert_eq!(count("as asked"), 20, "{printed}");
    let kept = "wasmserve_instances_dropped_total{reason=\"kept_resources\"}";
    eventually("instances are put back", || {
        watched.metric("wasmserve_instances_restored_total") > 0.0
    });
    assert_eq!(watched.metric(kept), 0.0);
    // Without that each begins with a main of its own.
    let server = Server::component(&path).arg("--no-prime").start();
    let mut connection = server.connect();
    for _ in 0..3 {
        assert_eq!(connection.get("/counter").response().unwrap().text(), "1\n");
    }
    server.wait_for_count("main is about to serve", 4);
}

#[test]
fn instances_of_a_go_application_are_reused() {
    let server = Server::component(built(SERVER)).arg("--reuse=100").start();
    let mut connection = server.connect();
    let mut count = || connection.get("/counter").response().unwrap().text();
    assert_eq!([count(), count(), count()], ["1\n", "2\n", "3\n"]);
}

#[test]
fn a_thousand_requests_fresh_and_reused() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built(SERVER), &["--reuse", reuse]);
        trials::a_thousand_mixed_requests(&server);
        assert!(!server.printed().contains("ERROR"), "{}", server.printed());
    }
}

#[test]
fn bodies_are_streamed() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built(SERVER), &["--reuse", reuse]);
        trials::what_is_streamed_comes_as_it_is_written(&server);
        trials::a_large_body_comes_back(&server);
    }
}

#[test]
fn signals_under_load_cost_no_more_than_they_must() {
    let server = trials::serve(&built(SERVER), &["--reuse", "100"]);
    trials::signals_under_load_cost_no_more_than_they_must(&server);
}
