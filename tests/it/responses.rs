//! Whatever a guest answers, what leaves is a legal message, and the next one on the connection is not
//! confused with it.

use crate::harness::http2::{self, Http2};
use crate::harness::{Server, finished, get, guest, send};
use std::process::Command;

/// Both versions of WASI HTTP, with nothing in the head that the tests do not ask for.
fn both() -> [Server; 2] {
    ["behaviours", "behaviours-p3"].map(|name| {
        Server::component(guest(name))
            .arg("--no-date-header")
            .arg("--no-server-header")
            .arg("--no-request-id")
            .start()
    })
}

/// The bytes that answer this request, before those of another that follows it immediately.
fn answer(server: &Server, method: &str, path: &str) -> String {
    let all = send(
        server.address,
        format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n\
             GET /respond?status=299&header=content-length:5&body=after HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        ),
    );
    let after = "HTTP/1.1 299 \r\ncontent-length: 5\r\nconnection: close\r\n\r\nafter";
    let first = all.strip_suffix(after);
    first
        .unwrap_or_else(|| panic!("{method} {path} confuses what follows: {all:?}"))
        .to_owned()
}

const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 22\r\n\
                      content-type: text/plain; charset=utf-8\r\n\r\nInternal Server Error\n";

#[test]
fn a_guest_cannot_set_what_frames_messages_or_forge_lines() {
    let fields = [
        "connection:close",
        "keep-alive:x",
        "proxy-connection:x",
        "transfer-encoding:chunked",
        "upgrade:x",
        "host:x",
        "http2-settings:x",
        "content-length:%2b5",
        "content-length:abc",
        "content-length:",
        "content-length:5,5",
        "x:a%0d%0aset-cookie:b",
        "x:a%0ab",
        "x:a%0db",
        "x:a%00b",
    ];
    for server in both() {
        for field in fields {
            let told = get(server.address, &format!("/settable?header={field}")).text();
            assert!(told.ends_with(" false false\n"), "{field}: {told}");
        }
        let told = get(server.address, "/settable?header=x:a").text();
        assert_eq!(told, "x true true\n");
    }
}

#[test]
fn a_length_that_is_wrong_is_the_guests_failure() {
    let [server, newer] = both();
    for path in [
        "/content-length?declared=10&actual=5",
        "/content-length?declared=5&actual=10",
        "/content-length?declared=0&actual=5",
    ] {
        assert_eq!(answer(&server, "GET", path), FAILED, "{path}");
        server.wait_for(&format!("\"GET {path}\""));
    }
    for server in [server, newer] {
        let right = answer(&server, "GET", "/content-length?declared=5&actual=5");
        assert_eq!(right, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nxxxxx");
    }
}

#[test]
fn a_length_that_turns_out_wrong_ends_the_connection() {
    for server in both() {
        for (declared, actual) in [
            (3_000_000, 2_000_000),
            (2_000_000, 3_000_000),
            (10, 5),
            (5, 10),
        ] {
            let path = format!("/content-length?declared={declared}&actual={actual}");
            let mut connection = server.connect();
            connection
                .write(format!(
                    "GET {path} HTTP/1.1\r\nHost: test\r\n\r\nGET /after HTTP/1.1\r\nHost: test\r\n\r\n"
                ))
                .unwrap();
            // What cannot be told from a whole body must not come.
            match connection.response() {
                Ok(response) => assert_eq!(response.status, 500, "{path}"),
                Err(_) => assert_eq!(connection.rest().unwrap_or_default(), b"", "{path}"),
            }
            server.wait_for(&format!("\"GET {path}\""));
        }
    }
}

#[test]
fn head_has_no_body_and_may_announce_one() {
    for server in both() {
        for (path, expected) in [
            (
                "/respond?header=content-length:5&body=hello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            ),
            // As applications do that answer HEAD themselves.
            (
                "/respond?header=content-length:99",
                "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n",
            ),
            (
                "/content-length?declared=10&actual=5",
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
            ),
            ("/slow-stream?n=2&ms=20", "HTTP/1.1 200 OK\r\n\r\n"),
            (
                "/trap-before-head",
                FAILED.trim_end_matches("Internal Server Error\n"),
            ),
        ] {
            assert_eq!(answer(&server, "HEAD", path), expected, "{path}");
        }
    }
}

/// HEAD said `content-length: 0` where GET has a body of unknown length (RFC 9110 section 8.6).
#[test]
fn head_tells_no_length_that_get_does_not_tell() {
    for server in both() {
        for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
            let lengths = |path: &str, head: &[&str]| -> Vec<String> {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--show-error", "--max-time", "20", version]);
                curl.args(["--dump-header", "-", "--output", "/dev/null"])
                    .args(head);
                curl.arg(format!("http://{}{path}", server.address));
                let output = finished(curl);
                let printed = String::from_utf8_lossy(&output.stdout).to_lowercase();
                assert!(printed.contains(" 200"), "{version} {path}: {printed}");
                let lines = printed
                    .lines()
                    .filter(|line| line.starts_with("content-length:"));
                lines.map(str::to_owned).collect()
            };
            for path in [
                "/slow-stream?n=2&ms=20",
                "/respond?header=content-length:5&body=hello",
                "/content-length?declared=5&actual=5",
            ] {
                let (get, head) = (lengths(path, &[]), lengths(path, &["--head"]));
                assert_eq!(get, head, "{version} {path}");
            }
            assert!(lengths("/slow-stream?n=2&ms=20", &["--head"]).is_empty());
        }
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    for server in both() {
        for length in ["", "&header=content-length:5"] {
            for (status, expected) in [
                (204, "HTTP/1.1 204 No Content\r\n\r\n"),
                (
                    205,
                    "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
                ),
                (304, "HTTP/1.1 304 Not Modified\r\n\r\n"),
            ] {
                for body in ["hello", ""] {
                    let path = format!("/respond?status={status}{length}&body={body}");
                    assert_eq!(answer(&server, "GET", &path), expected, "{path}");
                }
            }
        }
    }
}

#[test]
fn a_status_that_is_not_final_is_the_guests_failure() {
    for server in both() {
        for status in [0, 99, 100, 101, 103, 199, 600, 999, 1000] {
            let path = format!("/respond?status={status}&body=hello");
            assert_eq!(answer(&server, "GET", &path), FAILED, "{path}");
            server.wait_for(&format!("\"GET {path}\""));
        }
        let last = answer(
            &server,
            "GET",
            "/respond?status=599&header=content-length:5&body=hello",
        );
        assert_eq!(last, "HTTP/1.1 599 \r\ncontent-length: 5\r\n\r\nhello");
    }
    let [server, _] = both();
    get(server.address, "/respond?status=101");
    server.wait_for("the guest's response cannot be sent: its status is 101");
}

#[test]
fn trailers_cannot_say_what_belongs_in_the_head() {
    let server = Server::component(guest("behaviours"))
        .arg("--no-date-header")
        .start();
    let mut connection = server.connect();
    let trailers = "trailer=content-length:3&trailer=set-cookie:a&trailer=sum:43&trailer=te:x";
    let response = connection
        .get(&format!("/respond?body=x&{trailers}"))
        .host("t")
        .header("TE", "trailers")
        .response()
        .unwrap();
    assert_eq!(response.header("trailer"), Some("sum"));
    assert_eq!(response.trailers, [("sum".to_owned(), "43".to_owned())]);
    let path = "/respond?header=te:trailers&body=x";
    assert_eq!(connection.get(path).response().unwrap().header("te"), None);
}

#[test]
fn thousands_of_headers_are_served_up_to_a_bound() {
    for server in both() {
        let workers = server.workers();
        let response = get(server.address, "/many-headers?n=1000");
        let ours = response
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-"));
        assert_eq!((response.status, ours.count()), (200, 1000));
        for path in ["/many-headers?n=50000", "/many-headers?n=10&bytes=100000"] {
            assert_eq!(get(server.address, path).status, 500, "{path}");
        }
        assert_eq!(get(server.address, "/").status, 200);
        assert_eq!(server.workers(), workers);
    }
}

#[test]
fn no_body_leaves_over_http2_either_where_none_belongs() {
    for server in both() {
        let mut client = Http2::open(server.address).unwrap();
        for (method, path) in [
            ("HEAD", "/respond?body=hello"),
            ("HEAD", "/slow-stream?n=2&ms=20"),
            ("HEAD", "/trap-before-head"),
            ("GET", "/respond?status=204&body=hello"),
            ("GET", "/respond?status=205&body=hello"),
            (
                "GET",
                "/respond?status=304&header=content-length:5&body=hello",
            ),
        ] {
            let head = http2::head(method, path, &[]);
            client.ask(http2::END_STREAM, &head).unwrap();
            let answer = client.wait_for(http2::HEADERS).unwrap();
            assert!(answer.ends_stream(), "{method} {path}");
        }
        let status = client.get("/respond?status=101").unwrap();
        let body = client.answer(status).unwrap();
        assert_eq!(body, b"Internal Server Error\n");
    }
}
