//! Both versions of WASI HTTP are served.

use crate::harness::{Server, get, guest};

#[test]
fn the_samples_answer() {
    for (name, world) in [("hello", "0.2"), ("service", "0.3")] {
        let server = Server::component(guest(name)).workers(2).start();
        assert_eq!(
            get(server.address, "/").text(),
            "Hello, world!\n",
            "{name} of WASI {world}"
        );
    }
}

#[test]
fn a_0_3_guest_sees_scheme_and_authority() {
    let server = Server::component(guest("behaviours-p3")).start();
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
    let server = Server::component(guest("behaviours-p3")).start();
    let mut connection = server.connect();
    let response = connection.get("/slow-stream").response().unwrap();
    assert_eq!(
        response.text(),
        "chunk 0\nchunk 1\nchunk 2\nchunk 3\nchunk 4\n"
    );
    for _ in 0..3 {
        assert_eq!(connection.get("/counter").response().unwrap().text(), "1\n");
    }
    connection.get("/stdio").response().unwrap();
    server.wait_for("] out: three");
    assert_eq!(
        connection
            .post("/echo")
            .body("hello")
            .response()
            .unwrap()
            .text(),
        "hello"
    );
}

#[test]
fn a_0_3_guest_that_fails_is_reported_like_any_other() {
    let server = Server::component(guest("behaviours-p3"))
        .arg("--timeout-request=400ms")
        .start();
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let line = server.wait_for(": the guest trapped");
    assert!(line.contains(" \"GET /trap-before-head\" ["), "{line}");
    assert_eq!(get(server.address, "/error-code").status, 500);
    assert_eq!(get(server.address, "/spin").status, 504);
    let mut connection = server.connect();
    connection.get("/trap-after-head").send().unwrap();
    let mut response = connection.head().unwrap();
    assert!(connection.body(&mut response).is_err(), "it looks whole");
    assert_eq!(get(server.address, "/").text(), "ok\n");
}
