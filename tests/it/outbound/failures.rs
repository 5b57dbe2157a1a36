//! Servers that fail their guests, and limits that guests run into.

use super::{BOTH, ask, serve};
use crate::harness::{After, GREETING, Upstream, eventually, get};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_slow_server_is_given_up_in_the_guests_time_or_in_ours() {
    let silent = Upstream::start(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        After::Close
    });
    let stalling = Upstream::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
            .unwrap();
        std::thread::sleep(Duration::from_secs(20));
        After::Close
    });
    let ours = [
        "--allow-http",
        "127.0.0.1",
        "--timeout-outbound-first-byte",
        "1s",
        "--timeout-outbound-between-bytes",
        "1s",
    ];
    for name in BOTH {
        let server = serve(name, &ours);
        for (query, from, to) in [
            ("&first=200", 200, 900),
            ("&first=9000", 1000, 5000),
            ("", 1000, 5000),
        ] {
            let start = Instant::now();
            let said = ask(&server, &format!("authority={}{query}", silent.address));
            let took = start.elapsed().as_millis();
            assert!(
                said.contains("ConnectionReadTimeout"),
                "{name}, {query}: {said}"
            );
            assert!((from..to).contains(&took), "{name}, {query}: {took} ms");
        }
        for query in ["&between=200", ""] {
            let said = ask(&server, &format!("authority={}{query}", stalling.address));
            assert!(
                said.contains("status 200\n") && said.contains("broken"),
                "{name}: {said}"
            );
        }
    }
}

/// A listener whose queue is full: the kernel answers no further connection.
fn unreachable() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (listener, waiting, address)
}

#[test]
fn a_server_that_does_not_take_the_connection_is_given_up() {
    let (_listener, _waiting, address) = unreachable();
    for name in BOTH {
        let server = serve(
            name,
            &[
                "--allow-http",
                "127.0.0.1",
                "--timeout-outbound-connect",
                "1s",
            ],
        );
        for (query, least) in [("&connect=200", 200), ("", 1000)] {
            let start = Instant::now();
            let said = ask(&server, &format!("authority={address}{query}"));
            assert!(said.contains("ConnectionTimeout"), "{name}: {said}");
            let took = start.elapsed().as_millis();
            assert!(
                (least..least + 2000).contains(&took),
                "{name}, {query}: {took} ms"
            );
        }
    }
}

#[test]
fn a_server_that_refuses_resets_or_ends_early_is_an_error_that_says_so() {
    let resetting = Upstream::start(|_, _| After::Reset);
    let halving = Upstream::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
            .unwrap();
        After::Close
    });
    let babbling = Upstream::start(|_, stream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").unwrap();
        After::Close
    });
    let refusing = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    for name in BOTH {
        let server = serve(name, &["--allow-http", "127.0.0.1"]);
        for (address, error) in [
            (resetting.address, "ConnectionTerminated"),
            (refusing, "ConnectionRefused"),
            (babbling.address, "HttpProtocolError"),
        ] {
            let said = ask(&server, &format!("authority={address}"));
            assert!(said.contains(error), "{name}: {said}");
        }
        let said = ask(&server, &format!("authority={}", halving.address));
        assert!(
            said.contains("status 200\n") && said.contains("broken"),
            "{name}: {said}"
        );
        assert_eq!(get(server.address, "/").text(), "ok\n");
    }
}

#[test]
fn requests_at_a_time_are_limited_for_a_request_and_for_a_worker() {
    for (limit, at_most) in [("--limit-outbound-per-request", 2), ("--limit-outbound", 3)] {
        let under_way = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (now, high) = (under_way.clone(), most.clone());
        let upstream = Upstream::start(move |_, stream| {
            let count = now.fetch_add(1, Ordering::SeqCst) + 1;
            high.fetch_max(count, Ordering::SeqCst);
            // One too many has some time to come, once there are as many as there may be.
            eventually("there are as many as there may be", || {
                high.load(Ordering::SeqCst) >= at_most
            });
            std::thread::sleep(Duration::from_millis(100));
            now.fetch_sub(1, Ordering::SeqCst);
            stream.write_all(GREETING).unwrap();
            After::Keep
        });
        let count = at_most.to_string();
        let server = serve("behaviours", &["--allow-http", "127.0.0.1", limit, &count]);
        let said = ask(&server, &format!("authority={}&times=8", upstream.address));
        assert_eq!(said.matches("status 200").count(), 8, "{said}");
        assert_eq!(most.load(Ordering::SeqCst), at_most, "{limit}");
    }
}

#[test]
fn a_turn_that_does_not_come_is_an_error_and_leaves_nothing_behind() {
    let upstream = Upstream::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(1500));
        let _ = stream.write_all(GREETING);
        After::Keep
    });
    let server = serve(
        "behaviours",
        &[
            "--allow-http",
            "127.0.0.1",
            "--limit-outbound",
            "1",
            "--timeout-outbound-connect",
            "500ms",
        ],
    );
    let said = ask(&server, &format!("authority={}&times=2", upstream.address));
    assert!(
        said.contains("status 200") && said.contains("ConnectionLimitReached"),
        "{said}"
    );
    server.wait_for("(--limit-outbound-per-request, --limit-outbound)");
    eventually("the turn comes back", || {
        ask(&server, &format!("authority={}", upstream.address)).starts_with("status 200")
    });
}
