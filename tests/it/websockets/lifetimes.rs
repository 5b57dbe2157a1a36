//! How long WebSockets last, what they may cost, and what ends them.

use super::start;
use crate::harness::websocket::{closed, next, open, refused, request, try_open};
use crate::harness::{Server, eventually, get};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

#[test]
fn two_hundred_stay_open_over_two_workers_and_are_answered() {
    let server = start(&["--workers", "2"]);
    let mut sockets: Vec<_> = (0..200).map(|_| open(&server, "/echo")).collect();
    for round in 0..3 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket
                .send(Message::text(format!("{round} {number}")))
                .unwrap();
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(next(socket), Message::text(format!("{round} {number}")));
        }
    }
    assert_eq!(get(server.address, "/").status, 200);
    for socket in &mut sockets {
        socket.close(None).unwrap();
        assert_eq!(closed(socket).0, 1005);
    }
}

#[test]
fn each_has_an_instance_that_is_gone_after_it() {
    let server = start(&["--limit-websockets", "4"]);
    // Thrice as many as there may be at a time, one after the other, and the client leaves in the middle.
    for _ in 0..12 {
        eventually("there is room again", || {
            let request = request(&server, "/echo");
            try_open(&server, request).is_ok()
        });
    }
}

#[test]
fn there_are_no_more_than_may_be_and_requests_go_on() {
    let server = start(&["--limit-websockets", "4", "--limit-concurrency", "1"]);
    let mut sockets = Vec::new();
    // Of one client, as long as there is no other.
    while let Ok((socket, _)) = try_open(&server, request(&server, "/echo")) {
        sockets.push(socket);
        assert!(sockets.len() <= 4);
    }
    assert!(sockets.len() >= 3);
    assert_eq!(refused(&server, "/echo").0, 503);
    assert_eq!(get(server.address, "/").status, 200);
    drop(sockets);
    eventually("there is room again", || {
        try_open(&server, request(&server, "/echo")).is_ok()
    });
}

#[test]
fn a_guest_that_traps_closes_with_1011_and_the_log_says_why() {
    let server = start(&[]);
    let mut socket = open(&server, "/trap");
    socket.send(Message::text("now")).unwrap();
    assert_eq!(closed(&mut socket).0, 1011);
    server.wait_for("\"WebSocket /trap\"");
    server.wait_for("the guest trapped: ");
    let server = start(&["--max-memory", "32MiB"]);
    let mut socket = open(&server, "/hog");
    socket.send(Message::text("now")).unwrap();
    assert_eq!(closed(&mut socket).0, 1011);
    server.wait_for("--max-memory");
}

#[test]
fn processor_time_is_counted_for_each_message() {
    let server = start(&["--limit-cpu", "1s"]);
    let mut socket = open(&server, "/toil?ms=200");
    for _ in 0..10 {
        socket.send(Message::text("on")).unwrap();
        assert_eq!(next(&mut socket), Message::text("on"));
    }
    let mut socket = open(&server, "/spin");
    socket.send(Message::text("now")).unwrap();
    assert_eq!(closed(&mut socket).0, 1011);
    server.wait_for("--limit-cpu");
}

#[test]
fn a_stop_closes_with_1001_at_once() {
    let mut server = start(&["--workers", "2"]);
    let mut sockets: Vec<_> = (0..4).map(|_| open(&server, "/watch")).collect();
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    for socket in &mut sockets {
        assert_eq!(closed(socket).0, 1001);
    }
    drop(sockets);
    assert!(server.wait().success());
    // Not after the time that requests in flight have.
    assert!(start.elapsed() < Duration::from_secs(29));
    server.wait_for_count("it was closed with 1001", 4);
}

#[test]
fn a_reload_closes_with_1012_when_the_time_of_the_old_worker_is_up() {
    let server = start(&["--timeout-graceful-shutdown", "12s"]);
    let mut socket = open(&server, "/echo");
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete", 2);
    // It is served on for as long as the worker may.
    socket.send(Message::text("still there")).unwrap();
    assert_eq!(next(&mut socket), Message::text("still there"));
    assert_eq!(closed(&mut socket).0, 1012);
    let mut other = open(&server, "/echo");
    other.send(Message::text("new")).unwrap();
    assert_eq!(next(&mut other), Message::text("new"));
}

#[test]
fn a_client_that_does_not_answer_pings_is_given_up() {
    let options = ["--ws-ping-interval", "100ms", "--ws-ping-timeout", "300ms"];
    let server = start(&options);
    // Nobody reads, so that nothing is answered.
    let _silent = open(&server, "/watch");
    server.wait_for("it was closed with 1011 no answer to a ping");
    server.wait_for("\"WebSocket /watch\" closed 1011 (no answer to a ping)");
    // One that reads is kept, as often as it is asked.
    let server = start(&["--ws-ping-interval", "100ms"]);
    let mut socket = open(&server, "/echo");
    let mut pings = 0;
    while pings < 5 {
        pings += u32::from(matches!(socket.read().unwrap(), Message::Ping(_)));
    }
    socket.send(Message::text("here")).unwrap();
    assert_eq!(next(&mut socket), Message::text("here"));
}

#[test]
fn a_client_that_never_reads_holds_its_guest_up_and_is_reset_in_the_end() {
    let server = start(&["--timeout-write", "1s", "--max-memory", "32MiB"]);
    let _stalled = open(&server, "/flood");
    let line = server.wait_for("\"WebSocket /flood\" closed 1006 after ");
    assert!(!server.printed().contains("trapped"), "{line}");
}

#[test]
fn a_guest_that_takes_nothing_holds_its_client_up() {
    let server = start(&["--ws-max-queue", "4"]);
    let socket = open(&server, "/deaf");
    let stream = socket.get_ref().try_clone().unwrap();
    let timeout = Some(Duration::from_millis(500));
    stream.set_write_timeout(timeout).unwrap();
    let mut socket = socket;
    let before = resident(&server);
    let message = Message::binary(vec![0; 1 << 20]);
    // What the kernel holds, and what the server does, is far less.
    let sent = (0..200)
        .take_while(|_| socket.send(message.clone()).is_ok())
        .count();
    assert!(sent < 100, "{sent} MiB were taken");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB are held", grown >> 20);
}

/// What the first worker has of memory.
fn resident(server: &Server) -> u64 {
    let pid = server.workers()[0];
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn memory_is_flat_over_many() {
    let server = start(&[]);
    let use_some = || {
        for _ in 0..40 {
            let mut socket = open(&server, "/echo");
            let message = Message::binary(vec![1; 100_000]);
            socket.send(message.clone()).unwrap();
            assert!(next(&mut socket) == message);
            socket.close(None).unwrap();
            closed(&mut socket);
        }
    };
    use_some();
    let before = resident(&server);
    for _ in 0..5 {
        use_some();
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 24 << 20, "{} MiB more", grown >> 20);
}
