//! What WebSockets hold of memory: when a worker has little of it, and while nothing happens.

use super::start;
use crate::harness::process::anonymous;
use crate::harness::websocket::{Socket, closed, next, open, request, try_open};
use crate::harness::{Server, eventually, get};
use std::io::Write;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// Writes messages of 15 MiB for as long as the server takes them.
fn fill(socket: &mut Socket) {
    let length = 15_u64 << 20;
    let head = [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    let payload = vec![b'z'; 15 << 20];
    let stream = socket.get_mut();
    let patience = Some(Duration::from_millis(500));
    stream.set_write_timeout(patience).unwrap();
    while stream.write_all(&head).is_ok() && stream.write_all(&payload).is_ok() {}
}

/// Opens one as soon as there is room for it: others are given up when it is their turn.
fn open_in_time(server: &Server, path: &str) -> Socket {
    let mut opened = None;
    eventually("there is room for a WebSocket", || {
        let is_answered = get(server.address, "/").status == 200;
        opened = try_open(server, request(server, path)).ok();
        is_answered && opened.is_some()
    });
    opened.unwrap().0
}

/// Four clients held all memory of a worker, and nobody was answered any more, even when they had left.
#[test]
fn messages_that_nobody_takes_do_not_end_the_service() {
    let memory = ["--max-memory", "64MiB", "--max-worker-memory", "192MiB"];
    let server = start(&memory);
    for _ in 0..2 {
        let mut deaf: Vec<Socket> = (0..4).map(|_| open_in_time(&server, "/deaf")).collect();
        deaf.iter_mut().for_each(fill);
        eventually("a plain request is answered beside them", || {
            get(server.address, "/").status == 200
        });
        drop(deaf);
        open_in_time(&server, "/echo");
    }
}

/// Each has changed some bytes in most pages of six megabytes. What it has changed is there when something happens.
#[test]
fn the_memory_of_a_guest_that_waits_for_long_is_put_away_and_comes_back() {
    let server = start(&["--timeout-idle-body", "30s"]);
    let remembers = |socket: &mut Socket| {
        socket.send(Message::text("more")).unwrap();
        assert_eq!(next(socket), Message::text("remembers true"));
    };
    let mut sockets: Vec<Socket> = (0..4).map(|_| open(&server, "/remember")).collect();
    sockets.iter_mut().for_each(remembers);
    let now = || anonymous(server.workers()[0]);
    let busy = now();
    for _ in 0..2 {
        eventually("the memory of those that wait is put away", || {
            now() + (12 << 10) < busy
        });
        sockets.iter_mut().for_each(remembers);
        assert!(now() + (4 << 10) > busy);
    }
    eventually("it is put away again", || now() + (12 << 10) < busy);
    // Two of them leave meanwhile, each in its way.
    let mut left = sockets.split_off(2);
    left[0].close(None).unwrap();
    closed(&mut left[0]);
    drop(left);
    sockets.iter_mut().for_each(remembers);
    assert_eq!(get(server.address, "/").status, 200);
    assert!(!server.printed().contains("ERROR"), "{}", server.printed());
}
