//! What WebSockets hold when the memory of a worker is short.

use super::start;
use crate::harness::websocket::{Socket, open, request, try_open};
use crate::harness::{eventually, get};
use std::io::Write;
use std::time::Duration;

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

/// Four clients held all memory of a worker, and nobody was answered any more, even when they had left.
#[test]
fn messages_that_nobody_takes_do_not_end_the_service() {
    let memory = ["--max-memory", "64MiB", "--max-worker-memory", "192MiB"];
    let server = start(&memory);
    for _ in 0..2 {
        let mut deaf: Vec<Socket> = (0..4).map(|_| open(&server, "/deaf")).collect();
        deaf.iter_mut().for_each(fill);
        eventually("a plain request is answered beside them", || {
            get(server.address, "/").status == 200
        });
        drop(deaf);
        // The others are given up when it is their turn.
        eventually("there is room for another WebSocket", || {
            get(server.address, "/").status == 200
                && try_open(&server, request(&server, "/echo")).is_ok()
        });
    }
}
