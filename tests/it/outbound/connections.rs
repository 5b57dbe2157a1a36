//! How a guest's requests travel.

use super::{BOTH, ask, serve};
use crate::harness::{After, GREETING, Upstream};
use std::io::Write;

#[test]
fn connections_are_shared_and_heads_are_right() {
    let upstream = Upstream::start(|_, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\nX-Own: 1\r\n\r\nhello";
        stream.write_all(head).unwrap();
        After::Keep
    });
    let rule = format!("http://{}", upstream.at("localhost"));
    for (round, name) in BOTH.into_iter().enumerate() {
        let server = serve(name, &["--allow-http", &rule]);
        for _ in 0..5 {
            let said = ask(
                &server,
                &format!("authority={}&path=/a?b", upstream.at("localhost")),
            );
            assert!(said.contains("header x-own: 1\n"), "{said}");
            assert!(!said.contains("keep-alive"), "{said}");
        }
        let seen = upstream.seen().split_off(round * 5);
        assert_eq!(seen.len(), 5);
        for (nth, seen) in seen.iter().enumerate() {
            assert_eq!((seen.connection, seen.nth), (round, nth), "{name}");
            let head = seen.head.to_lowercase();
            assert!(head.starts_with("get /a?b http/1.1\r\n"), "{head}");
            assert!(
                head.contains(&format!("host: {}\r\n", upstream.at("localhost"))),
                "{head}"
            );
        }
    }
}

#[test]
fn what_belongs_to_the_connection_stays_with_the_guest() {
    let upstream = Upstream::friendly();
    let rule = format!("http://{}", upstream.address);
    let server = serve("behaviours", &["--allow-http", &rule]);
    let query = format!(
        "authority={}&header=te:gzip&header=x-mine:1",
        upstream.address
    );
    assert!(ask(&server, &query).starts_with("status 200"));
    let head = upstream.seen()[0].head.to_lowercase();
    assert!(
        head.contains("x-mine: 1\r\n") && !head.contains("te:"),
        "{head}"
    );
    // What opens a tunnel, or holds a password, is no request.
    let tunnel = ask(
        &server,
        &format!("authority={}&method=CONNECT", upstream.address),
    );
    assert!(tunnel.contains("HttpRequestMethodInvalid"), "{tunnel}");
    let password = ask(&server, &format!("authority=me:pass@{}", upstream.address));
    assert!(password.contains("HttpRequestUriInvalid"), "{password}");
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_request_without_a_body_says_so() {
    let upstream = Upstream::friendly();
    for name in BOTH {
        let server = serve(name, &["--allow-http", "127.0.0.1"]);
        for method in ["GET", "POST", "DELETE"] {
            ask(
                &server,
                &format!("authority={}&method={method}", upstream.address),
            );
        }
    }
    assert_eq!(upstream.seen().len(), 6);
    for seen in upstream.seen() {
        let head = seen.head.to_lowercase();
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
}

#[test]
fn bodies_pass_both_ways() {
    let upstream = Upstream::start(|seen, stream| {
        let body = vec![b'y'; seen.body];
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(&body).unwrap();
        After::Keep
    });
    let rule = format!("http://{}", upstream.address);
    for name in BOTH {
        let server = serve(name, &["--allow-http", &rule]);
        let query = format!("authority={}&method=POST&send=1000000", upstream.address);
        let said = ask(&server, &query);
        assert!(
            said.contains("\nlength 1000000\n"),
            "{name}: {}",
            &said[..said.len().min(300)]
        );
        assert!(!said.contains("broken"));
    }
}

/// Answers the first request of a connection; takes the second, and is gone.
fn forgetful() -> Upstream {
    Upstream::start(|seen, stream| {
        if seen.nth > 0 {
            return After::Close;
        }
        stream.write_all(GREETING).unwrap();
        After::Keep
    })
}

#[test]
fn a_dead_connection_from_the_pool_costs_a_safe_request_nothing() {
    for name in BOTH {
        let upstream = forgetful();
        let server = serve(name, &["--allow-http", "127.0.0.1"]);
        for _ in 0..6 {
            let said = ask(&server, &format!("authority={}", upstream.address));
            assert!(said.starts_with("status 200"), "{name}: {said}");
        }
        let seen = upstream.seen();
        assert!(
            seen.iter().any(|seen| seen.nth == 1),
            "no connection was used twice: {seen:?}"
        );
    }
}

#[test]
fn a_request_that_changes_something_is_never_sent_twice() {
    let upstream = forgetful();
    let server = serve("behaviours", &["--allow-http", "127.0.0.1"]);
    let post = || {
        ask(
            &server,
            &format!("authority={}&method=POST", upstream.address),
        )
    };
    assert!(post().starts_with("status 200"));
    let said = post();
    assert!(said.contains("ConnectionTerminated"), "{said}");
    assert_eq!(upstream.seen().len(), 2);
}
