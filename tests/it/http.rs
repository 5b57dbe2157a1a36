//! HTTP/1.1 as clients use it.

use crate::harness::{HELLO, Server, get, guest, send};
use std::time::{Duration, Instant};

fn behaviours() -> Server {
    Server::component(guest("behaviours")).start()
}

#[test]
fn a_component_answers() {
    let server = Server::component(HELLO).workers(2).start();
    let response = get(server.address, "/");
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "Hello, world!\n")
    );
    assert_eq!(response.header("content-length"), Some("14"));
    server.wait_for("\"GET / HTTP/1.1\" 200 OK");
}

#[test]
fn a_connection_serves_many_requests() {
    let server = behaviours();
    let mut connection = server.connect();
    for _ in 0..20 {
        assert_eq!(connection.get("/").response().unwrap().text(), "ok\n");
    }
}

#[test]
fn every_request_has_an_instance_of_its_own() {
    let server = behaviours();
    let mut connection = server.connect();
    for _ in 0..5 {
        assert_eq!(connection.get("/counter").response().unwrap().text(), "1\n");
        assert_eq!(connection.get("/scan").response().unwrap().text(), "0\n");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = behaviours();
    let mut connection = server.connect();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    connection
        .write(request("/sleep?ms=100") + &request("/") + &request("/counter"))
        .unwrap();
    let texts = [(); 3].map(|()| connection.response().unwrap().text());
    assert_eq!(texts, ["slept\n", "ok\n", "1\n"]);
}

#[test]
fn a_response_is_streamed_as_the_guest_writes_it() {
    let server = behaviours();
    let mut connection = server.connect();
    let start = Instant::now();
    connection.get("/slow-stream?n=4&ms=150").send().unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    let mut times = Vec::new();
    while let Some(chunk) = connection.chunk().unwrap() {
        assert_eq!(
            String::from_utf8(chunk).unwrap(),
            format!("chunk {}\n", times.len())
        );
        times.push(start.elapsed());
    }
    assert_eq!(times.len(), 4);
    let spread = times[3] - times[0];
    assert!(
        spread >= Duration::from_millis(400),
        "the chunks came together, within {spread:?}"
    );
}

#[test]
fn a_request_body_is_streamed_while_the_response_is() {
    let server = Server::component(guest("echo")).start();
    let mut connection = server.connect();
    connection
        .post("/")
        .header("Transfer-Encoding", "chunked")
        .send()
        .unwrap();
    connection.write("6\r\nfirst\n\r\n").unwrap();
    connection.head().unwrap();
    assert_eq!(connection.chunk().unwrap().unwrap(), b"first\n");
    connection.write("7\r\nsecond\n\r\n0\r\n\r\n").unwrap();
    assert_eq!(connection.chunk().unwrap().unwrap(), b"second\n");
    assert_eq!(connection.chunk().unwrap(), None);
}

#[test]
fn a_large_body_comes_back_whole() {
    let server = Server::component(guest("echo")).start();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut connection = server.connect();
    connection
        .write(format!(
            "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ))
        .unwrap();
    let mut writer = connection.second();
    let sent = body.clone();
    let writing =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, &sent).unwrap());
    let response = connection.response().unwrap();
    writing.join().unwrap();
    assert!(
        response.body == body,
        "{} of {} bytes",
        response.body.len(),
        body.len()
    );
}

#[test]
fn trailers_go_both_ways() {
    let server = behaviours();
    let mut connection = server.connect();
    connection
        .post("/request")
        .header("Transfer-Encoding", "chunked")
        .header("Trailer", "sum")
        .send()
        .unwrap();
    connection
        .write("3\r\nabc\r\n0\r\nsum: 42\r\n\r\n")
        .unwrap();
    let seen = connection.response().unwrap().text();
    assert!(seen.contains("trailer sum: 42"), "{seen}");

    let response = connection
        .get("/respond?body=x&trailer=sum:43")
        .header("TE", "trailers")
        .response()
        .unwrap();
    assert_eq!(response.trailers, [("sum".to_owned(), "43".to_owned())]);
}

#[test]
fn a_client_that_expects_100_continue_gets_it_when_the_guest_reads() {
    let server = behaviours();
    let mut connection = server.connect();
    connection
        .post("/request")
        .header("Content-Length", "3")
        .header("Expect", "100-continue")
        .send()
        .unwrap();
    assert_eq!(connection.head().unwrap().status, 100);
    connection.write("abc").unwrap();
    assert!(connection.response().unwrap().text().contains("body 3"));
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let server = behaviours();
    let mut connection = server.connect();
    connection.request("HEAD", "/").send().unwrap();
    let head = connection.head().unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("3"))
    );
    connection
        .request("HEAD", "/slow-stream?n=2&ms=10")
        .send()
        .unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.get("/").response().unwrap().text(), "ok\n");
}

#[test]
fn the_guest_sees_the_request_as_the_client_made_it() {
    let server = behaviours();
    let seen = get(server.address, "/request/a%20b?c=d").text();
    for line in [
        "method Method::Get",
        "scheme Some(Scheme::Http)",
        "authority test",
        "path /request/a%20b?c=d",
        "body 0",
    ] {
        assert!(seen.contains(line), "no `{line}` in:\n{seen}");
    }
}

#[test]
fn http_1_0_is_served() {
    let server = behaviours();
    let answer = send(server.address, "GET /request HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains(&format!("authority {}", server.address)),
        "{answer}"
    );
}

/// RFC 9110 section 7.2: it is what a target without an authority calls for.
#[test]
fn a_request_whose_host_is_empty_names_no_host() {
    let server = behaviours();
    for head in [
        "GET /request HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "GET /request HTTP/1.0\r\nHost: \r\n\r\n",
    ] {
        let answer = send(server.address, head);
        let authority = format!("authority {}", server.address);
        assert!(answer.contains(&authority), "{head:?}: {answer}");
    }
}

/// The body had the connection's end for its own, and the head said that the connection stays (RFC 9112 section 9.6).
#[test]
fn a_connection_whose_end_is_that_of_a_body_is_not_said_to_stay() {
    let server = behaviours();
    let keeps = "HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answer = send(server.address, format!("GET /slow-stream?n=2&ms=1 {keeps}"));
    let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
    assert!(head.contains("\r\nconnection: close"), "{answer}");
    assert!(!head.contains("keep-alive"), "{answer}");
    let mut stays = server.connect();
    for _ in 0..2 {
        stays.write(format!("GET / {keeps}")).unwrap();
        let answer = stays.response().unwrap();
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
}

/// RFC 9110 section 10.1.1: who was not asked for the body does not know what the server makes of the connection.
#[test]
fn an_answer_before_the_body_was_asked_for_says_that_the_connection_ends() {
    let server = Server::component(guest("behaviours"))
        .args(["--limit-body", "10"])
        .start();
    for (target, length, status) in [("/ignore-body", "3", 200), ("/request", "11", 413)] {
        let mut connection = server.connect();
        let request = connection.post(target).header("Content-Length", length);
        request.header("Expect", "100-continue").send().unwrap();
        let answer = connection.response().unwrap();
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("connection"), Some("close"), "{target}");
    }
}

#[test]
fn a_request_without_one_host_is_refused() {
    let server = behaviours();
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n"] {
        let answer = send(
            server.address,
            format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts:?}: {answer}");
    }
}

#[test]
fn what_a_guest_does_after_its_response_is_finished() {
    let server = behaviours();
    assert_eq!(
        get(server.address, "/afterwork?ms=200").text(),
        "answered\n"
    );
    server.wait_for("] afterwork done");
}

/// It was ended without a word, and its place was taken until then.
#[test]
fn a_guest_that_goes_on_for_too_long_after_its_response_is_ended_and_told() {
    let server = Server::component(guest("behaviours"))
        .option("--timeout-idle-body", "300ms")
        .start();
    let answer = get(server.address, "/afterwork?ms=600000");
    assert_eq!(answer.text(), "answered\n");
    let line = server.wait_for("the guest was ended, as it still ran 0.3 s after its response");
    assert!(line.starts_with("WARNING:"), "{line}");
    assert!(line.contains(" \"GET /afterwork?ms=600000\" ["), "{line}");
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn a_client_that_leaves_takes_its_instance_with_it() {
    let server = Server::component(guest("behaviours"))
        .arg("--limit-concurrency=1")
        .arg("--limit-queue=1")
        .start();
    let mut connection = server.connect();
    // Longer than anybody waits here.
    connection.get("/sleep?ms=600000").send().unwrap();
    server.answers_now(1);
    let mut second = server.connect();
    second.get("/").send().unwrap();
    server.keeps_waiting(1);
    drop(connection);
    assert_eq!(second.response().unwrap().text(), "ok\n");
}

#[test]
fn what_finds_no_room_is_told_when_to_come_again() {
    let server = Server::component(guest("behaviours"))
        .arg("--limit-concurrency=1")
        .arg("--limit-queue=0")
        .start();
    let mut busy = server.connect();
    busy.get("/slow-stream?n=3&ms=200").send().unwrap();
    busy.head().unwrap();
    let refused = get(server.address, "/");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    while busy.chunk().unwrap().is_some() {}
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn what_a_guest_prints_is_logged_line_by_line() {
    let server = behaviours();
    get(server.address, "/stdio?text=hello");
    for line in [
        "] out: hello",
        "] err: hello",
        "] one",
        "] two",
        "] unfinished",
    ] {
        server.wait_for(line);
    }
}

#[test]
fn the_environment_of_the_guest_is_what_was_given() {
    let server = Server::component(guest("behaviours"))
        .arg("--env=NAME=value")
        .arg("--arg")
        .arg("--verbose")
        .start();
    assert_eq!(
        get(server.address, "/environment").text(),
        "NAME=value\nargument --verbose\n"
    );
}

#[test]
fn a_head_that_does_not_come_in_time_is_a_408() {
    let server = Server::component(guest("behaviours"))
        .arg("--timeout-header=300ms")
        .start();
    let mut slow = server.connect();
    slow.write("GET / HTTP/1.1\r\nHost: te").unwrap();
    let start = Instant::now();
    assert_eq!(slow.response().unwrap().status, 408);
    assert!(start.elapsed() >= Duration::from_millis(250));
    assert_eq!(slow.rest().unwrap(), b"");
}

#[test]
fn an_idle_connection_is_closed_after_a_while() {
    let server = Server::component(guest("behaviours"))
        .arg("--timeout-keep-alive=300ms")
        .start();
    let mut unused = server.connect();
    let mut used = server.connect();
    used.get("/").response().unwrap();
    assert_eq!(used.rest().unwrap(), b"");
    assert_eq!(unused.rest().unwrap(), b"");
}
