//! What guests of both worlds may count on in `wasi:http`.

use crate::harness::{Server, Upstream, get, guest};

const BOTH: [&str; 2] = ["behaviours", "behaviours-p3"];

/// Guests copy the fields of an upstream's answer, and append their own length.
#[test]
fn a_length_may_be_said_twice() {
    for name in BOTH {
        let server = Server::component(guest(name)).start();
        for lengths in [
            "length=5",
            "length=5&length=5",
            "length=9&length=5",
            "length=5&length=9",
        ] {
            let answer = get(server.address, &format!("/lengths?{lengths}&body=hello"));
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "hello"),
                "{name} {lengths}"
            );
        }
        // Where the guest was slow between its head and the end of its body, the head had left.
        let short = server
            .connect()
            .get("/lengths?length=9&body=hello")
            .response();
        assert!(short.is_err() || short.is_ok_and(|answer| answer.status == 500));
    }
}

#[test]
fn an_answer_that_is_whole_is_sent_whatever_its_guest_does_then() {
    for name in BOTH {
        let server = Server::component(guest(name)).start();
        for query in ["ms=0", "ms=100"] {
            let answer = get(server.address, &format!("/trap-after-answer?{query}"));
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "whole\n"),
                "{name} {query}"
            );
        }
        server.wait_for_count("the guest trapped", 2);
        // What is not whole never looks as if it were.
        let mut connection = server.connect();
        assert!(connection.get("/trap-after-head").response().is_err());
    }
}

#[test]
fn a_request_without_a_path_is_sent_to_the_root() {
    let upstream = Upstream::friendly();
    for name in BOTH {
        let rule = format!("http://{}", upstream.at("127.0.0.1"));
        let server = Server::component(guest(name))
            .option("--allow-http", &rule)
            .start();
        let query = format!("/outbound?authority={}&path=", upstream.at("127.0.0.1"));
        let said = get(server.address, &query).text();
        assert!(said.starts_with("status 200"), "{name}: {said}");
    }
    let seen = upstream.seen();
    assert!(
        seen.iter().all(|seen| seen.head.contains(" / ")),
        "{seen:?}"
    );
}

#[test]
fn a_request_that_could_not_be_sent_was_not_transmitted() {
    let upstream = Upstream::friendly();
    let server = Server::component(guest("behaviours-p3"))
        .arg("--allow-http=http://127.0.0.1:1")
        .option(
            "--allow-http",
            format!("http://{}", upstream.at("127.0.0.1")),
        )
        .start();
    let ask = |authority: &str, more: &str| {
        let query = format!("/outbound?authority={authority}&transmission=1{more}");
        get(server.address, &query).text()
    };
    // Nobody listens on port 1.
    let said = ask("127.0.0.1:1", "");
    assert!(
        said.starts_with("Err(") && said.contains(", Err("),
        "{said}"
    );
    let said = ask("127.0.0.1:1", "&method=POST&send=100000");
    assert!(
        said.starts_with("Err(") && said.contains(", Err("),
        "{said}"
    );
    for more in ["", "&method=POST&send=100000"] {
        let said = ask(&upstream.at("127.0.0.1"), more);
        assert_eq!(said, "Ok(200), Ok(())\n");
    }
}

#[test]
fn a_body_that_was_cut_short_is_no_end() {
    for name in BOTH {
        let server = Server::component(guest(name)).start();
        for (framing, part) in [
            ("Content-Length: 100", "x".repeat(50)),
            (
                "Transfer-Encoding: chunked",
                format!("32\r\n{}\r\n", "x".repeat(50)),
            ),
        ] {
            let mut connection = server.connect();
            let head =
                format!("POST /early-response?ms=0 HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            connection.write(format!("{head}{part}")).unwrap();
            assert_eq!(connection.response().unwrap().status, 200);
            drop(connection);
        }
        server.wait_for_count("afterwork done, 50 bytes read, broken", 2);
    }
}
