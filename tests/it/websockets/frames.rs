//! Frames that no client sends (RFC 6455 section 5), each with the code that it is answered with.

use super::start;
use crate::harness::Server;
use crate::harness::websocket::{request, tcp};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// An open WebSocket whose frames are made by hand.
pub struct Raw(pub TcpStream);

impl Raw {
    pub fn open(server: &Server, path: &str) -> Raw {
        let mut stream = tcp(server.address);
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let host = request(server, path).uri().authority().unwrap().to_string();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        Raw(stream)
    }

    /// The code of the close that comes next.
    pub fn code(mut self) -> u16 {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let mut payload = vec![0; usize::from(head[1])];
            self.0.read_exact(&mut payload).unwrap();
            if head[0] == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

/// A frame with a mask that changes nothing.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Frames that break the protocol, or are too big where a message has 1 KiB, each with its code.
pub fn broken() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        ("no mask", vec![0x81, 0x02, b'h', b'i'], 1002),
        ("a reserved bit", frame(0xc1, b"hi"), 1002),
        ("reserved data", frame(0x83, b"hi"), 1002),
        ("reserved control", frame(0x8b, b""), 1002),
        ("a ping in parts", frame(0x09, b"hi"), 1002),
        ("a ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a close of 126 bytes", frame(0x88, &[0; 126]), 1002),
        ("a rest of nothing", frame(0x80, b"hi"), 1002),
        (
            "a part of a part",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
        ),
        ("a code of one byte", frame(0x88, &[3]), 1002),
        (
            "a code that is none",
            frame(0x88, &999_u16.to_be_bytes()),
            1002,
        ),
        (
            "a code that stands for none",
            frame(0x88, &1005_u16.to_be_bytes()),
            1002,
        ),
        (
            "a code that is not given out",
            frame(0x88, &1016_u16.to_be_bytes()),
            1002,
        ),
        ("a text that is not UTF-8", frame(0x81, &[0xce, 0xff]), 1007),
        ("a surrogate", frame(0x81, &[0xed, 0xa0, 0x80]), 1007),
        (
            "a part that cannot become UTF-8",
            frame(0x01, &[0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xf4, 0x90, 0x80]),
            1007,
        ),
        (
            "a reason that is not UTF-8",
            frame(0x88, &[0x03, 0xe8, 0xff]),
            1007,
        ),
        ("a frame that is too big", frame(0x82, &[0; 1025]), 1009),
        (
            "parts that are too big",
            [frame(0x02, &[0; 600]), frame(0x80, &[0; 600])].concat(),
            1009,
        ),
        ("a length of 2^63 - 1", long(u64::MAX >> 1), 1009),
        // The highest bit is none of the length (RFC 6455 section 5.2).
        ("a length of 2^63", long(1 << 63), 1009),
        (
            "a ping of 2^63 bytes",
            [&[0x89], &long(1 << 63)[1..]].concat(),
            1009,
        ),
        (
            "a character in two parts that is none",
            [frame(0x01, &[0xf0, 0x9f]), frame(0x80, &[0x41])].concat(),
            1007,
        ),
        (
            "a text that ends in the middle of a character",
            [frame(0x01, &[0xf0, 0x9f]), frame(0x80, &[0xa6])].concat(),
            1007,
        ),
    ]
}

/// The head of a frame of so many bytes, and some of them.
fn long(length: u64) -> Vec<u8> {
    let head = [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    [&head[..], &[7; 100]].concat()
}

#[test]
fn frames_that_break_the_protocol_end_the_connection_with_the_code_for_it() {
    let server = start(&["--ws-max-size", "1KiB"]);
    for (name, bytes, expected) in broken() {
        let mut raw = Raw::open(&server, "/echo");
        raw.0.write_all(&bytes).unwrap();
        assert_eq!(raw.code(), expected, "{name}");
    }
}

#[test]
fn a_character_may_be_in_two_parts() {
    let server = start(&[]);
    let mut raw = Raw::open(&server, "/echo");
    let parts = [frame(0x01, &[0xce]), frame(0x80, &[0xba])].concat();
    raw.0.write_all(&parts).unwrap();
    let mut answer = [0; 4];
    raw.0.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x81, 2, 0xce, 0xba]);
}

#[test]
fn pings_without_end_and_parts_without_end_are_too_many() {
    let server = start(&["--ws-max-size", "1KiB"]);
    for (name, piece, expected) in [
        ("pings", frame(0x89, b""), 1008),
        (
            "empty parts",
            [frame(0x01, b""), frame(0x00, b"")].concat(),
            1009,
        ),
    ] {
        let mut raw = Raw::open(&server, "/echo");
        let mut writer = raw.0.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            // The first part begins a message, and the others go on with it.
            let rest = piece[piece.len() - 6..].repeat(1000);
            let _ = writer.write_all(&piece);
            // Until the server reads no more.
            for _ in 0..5000 {
                if writer.write_all(&rest).is_err() {
                    return;
                }
            }
        });
        assert_eq!(close_code(&mut raw), expected, "{name}");
        raw.0.shutdown(Shutdown::Both).unwrap();
        sending.join().unwrap();
    }
}

/// What has come of a message is held in memory until the rest has.
#[test]
fn a_message_that_has_begun_has_to_come() {
    let server = start(&["--timeout-idle-body", "1s", "--ws-ping-interval", "0"]);
    let mut silent = Raw::open(&server, "/echo");
    let pinging = |raw: &mut Raw| raw.0.write_all(&frame(0x89, b"still there"));
    for begun in [
        frame(0x01, b"a part"),
        frame(0x82, b"cut short")[..9].to_vec(),
    ] {
        let mut raw = Raw::open(&server, "/echo");
        pinging(&mut raw).unwrap();
        raw.0.write_all(&begun).unwrap();
        assert_eq!(raw.code(), 1008);
    }
    // Who has begun none may say nothing for longer.
    silent.0.write_all(&frame(0x81, b"here")).unwrap();
    let mut answer = [0; 6];
    silent.0.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x81\x04here");
}

/// The code of the close, among pongs.
fn close_code(raw: &mut Raw) -> u16 {
    Raw(raw.0.try_clone().unwrap()).code()
}

#[test]
fn what_comes_before_the_answer_is_no_message() {
    let server = start(&[]);
    let mut stream = tcp(server.address);
    let head = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let early = [head.as_bytes(), &frame(0x81, b"early")].concat();
    stream.write_all(&early).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("early"), "{text}");
}
