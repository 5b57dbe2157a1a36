//! Both generations of WASI HTTP are served.

use crate::harness::{Connection, Server, get, guest};

#[test]
fn the_samples_answer() {
    for (name, world) in [("hello", "0.2"), ("service", "0.3")] {
        let server = Server::start(&[&guest(name), "--workers", "2"]);
        assert_eq!(
            get(server.address, "/").text(),
            "Hello, world!\n",
            "{name} of WASI {world}"
        );
    }
}

#[test]
fn a_0_3_guest_sees_scheme_and_authority() {
    let server = Server::start(&[&guest("behaviours-p3")]);
    let seen = get(server.address, "/request?a=b").text();
    for line in [
        "method Method::Get",
        "scheme Some(Scheme::Http)",
        "authority test",
        "path /request?a=b",
    ] {
        assert!(seen.contains(line), "no `{line}` in:\n{seen}");
    }
}

#[test]
fn a_0_3_guest_streams_and_prints_and_is_fresh() {
    let server = Server::start(&[&guest("behaviours-p3")]);
    let mut connection = Connection::open(server.address);
    let response = connection.get("/slow-stream").unwrap();
    assert_eq!(
        response.text(),
        "chunk 0\nchunk 1\nchunk 2\nchunk 3\nchunk 4\n"
    );
    for _ in 0..3 {
        assert_eq!(connection.get("/counter").unwrap().text(), "1\n");
    }
    connection.get("/stdio").unwrap();
    server.wait_for("] out: three");
    connection
        .write("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
        .unwrap();
    assert_eq!(connection.response().unwrap().text(), "hello");
}

#[test]
fn a_0_3_guest_that_fails_is_reported_like_any_other() {
    let server = Server::start(&[&guest("behaviours-p3"), "--timeout-request", "400ms"]);
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let line = server.wait_for(": the guest trapped");
    assert!(line.contains(" \"GET /trap-before-head\" ["), "{line}");
    assert_eq!(get(server.address, "/error-code").status, 500);
    assert_eq!(get(server.address, "/spin").status, 504);
    let mut connection = Connection::open(server.address);
    connection
        .write("GET /trap-after-head HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut response = connection.head().unwrap();
    assert!(connection.body(&mut response).is_err(), "it looks whole");
    assert_eq!(get(server.address, "/").text(), "ok\n");
}
