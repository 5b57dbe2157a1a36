//! Compressed responses, as clients that we did not write read them.

use crate::harness::{Connection, Server, get, guest};
use std::process::Command;
use std::time::{Duration, Instant};

fn compressing() -> Server {
    Server::component(guest("behaviours"))
        .arg("--compress")
        .arg("--compress-min-size=20")
        .start()
}

fn ask(connection: &mut Connection, path: &str, accept: &str) -> crate::harness::Response {
    connection
        .get(path)
        .header("Accept-Encoding", accept)
        .response()
        .unwrap()
}

const TEXT: &str =
    "/respond?header=content-type:text/plain&body=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_client_gets_the_coding_that_it_wants_and_the_same_body() {
    let server = compressing();
    let mut connection = server.connect();
    let plain = ask(&mut connection, TEXT, "identity");
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    for coding in ["gzip", "br", "zstd"] {
        let answer = ask(&mut connection, TEXT, coding);
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(answer.header("content-length"), None);
        let url = format!("http://{}{TEXT}", server.address);
        let output = Command::new("curl")
            .args([
                "--silent",
                "--compressed",
                "--header",
                &format!("Accept-Encoding: {coding}"),
                &url,
            ])
            .output()
            .expect("curl is there");
        assert_eq!(output.stdout, plain.body, "{coding}");
    }
    assert_eq!(get(server.address, TEXT).header("content-encoding"), None);
}

#[test]
fn a_stream_stays_a_stream() {
    let server = compressing();
    for coding in ["gzip", "br", "zstd"] {
        let mut connection = server.connect();
        let path = "/slow-stream?n=3&ms=1500&type=text/event-stream";
        let start = Instant::now();
        let request = connection.get(path).header("Accept-Encoding", coding);
        request.send().unwrap();
        let response = connection.head().unwrap();
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(connection.chunk().unwrap().is_some());
        assert!(start.elapsed() < Duration::from_millis(1400), "{coding}");
        let mut pieces = 1;
        while connection.chunk().unwrap().is_some() {
            pieces += 1;
        }
        assert!(pieces >= 3, "{coding}: {pieces}");
    }
}

#[test]
fn what_need_not_or_must_not_be_compressed_is_not() {
    let server = compressing();
    let mut connection = server.connect();
    for path in [
        "/respond?header=content-type:text/plain&body=short",
        "/respond?header=content-type:image/png&body=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/respond?header=content-type:text/plain&header=cache-control:no-transform&body=aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/respond?header=content-type:text/plain&header=content-encoding:gzip&body=aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let answer = ask(&mut connection, path, "gzip, br");
        let coding = answer.header("content-encoding");
        assert!(
            coding.is_none() || path.contains("content-encoding"),
            "{path}"
        );
    }
    let off = Server::component(guest("behaviours")).start();
    let mut connection = Connection::open(off.address);
    assert_eq!(
        ask(&mut connection, TEXT, "gzip").header("content-encoding"),
        None
    );
}

#[test]
fn a_failure_never_looks_like_an_end() {
    let server = compressing();
    let mut connection = server.connect();
    assert!(
        connection
            .get("/trap-after-head")
            .header("Accept-Encoding", "gzip")
            .response()
            .is_err()
    );
}

#[test]
fn the_head_alone_is_the_one_that_goes_before_the_body() {
    let server = compressing();
    let path = format!("{TEXT}&header=repr-digest:sha-256=:x:");
    let mut connection = server.connect();
    let mut heads = ["GET", "HEAD"].map(|method| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
        connection.write(head).unwrap();
        let response = match method {
            "GET" => connection.response(),
            _ => connection.head(),
        };
        let mut headers = response.unwrap().headers;
        // The framing of the message, when, and which.
        headers.retain(|(name, _)| {
            !["transfer-encoding", "date", "x-request-id"].contains(&name.as_str())
        });
        headers.sort();
        headers
    });
    let [get, head] = &mut heads;
    assert_eq!(get, head);
    assert!(
        !get.iter().any(|(name, _)| name == "repr-digest"),
        "{get:?}"
    );
}
