//! What the Autobahn suite asks of servers that echo, in its sections 1 to 7, 9 and 10, by frames made by hand: each
//! row is what is sent, and what has to come back.

use super::frames::{Raw, frame};
use super::start;
use std::io::{Read, Write};

const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
const LAST: u8 = 0x80;

/// A frame of any length, with a mask that changes everything.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0xa5, 0x5a, 0xff, 0x01];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(LAST | length as u8),
        length @ 126..65_536 => {
            frame.push(LAST | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(LAST | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let bytes = payload.iter().zip(MASK.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

fn closing(code: u16, reason: &str) -> Vec<u8> {
    masked(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A frame of the server's: all but its length.
type Frame = (u8, Vec<u8>);

/// A name, the frames that are sent, and what is answered.
type Case = (&'static str, Vec<Vec<u8>>, Vec<Frame>);

fn read(raw: &mut Raw) -> Frame {
    let mut head = [0; 2];
    raw.0.read_exact(&mut head).unwrap();
    assert_eq!(head[1] & LAST, 0, "servers mask nothing");
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            raw.0.read_exact(&mut length).unwrap();
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            raw.0.read_exact(&mut length).unwrap();
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    let mut payload = vec![0; length as usize];
    raw.0.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

/// The next message or control frame, whole.
fn next(raw: &mut Raw) -> Frame {
    let (mut first, mut payload) = read(raw);
    while first & LAST == 0 {
        let (last, rest) = read(raw);
        first |= last & LAST;
        payload.extend(rest);
    }
    (first, payload)
}

fn text(text: &str) -> Frame {
    (LAST | TEXT, text.as_bytes().to_vec())
}

#[test]
fn what_may_be_sent_is_answered_in_order() {
    let ping = |payload: &[u8]| masked(PING, payload);
    let pong = |payload: &[u8]| (PONG, payload.to_vec());
    let part = |first: u8, text: &str| masked(first, text.as_bytes());
    let long = "x".repeat(125);
    let cases: Vec<Case> = vec![
        ("2.1", vec![ping(b"")], vec![pong(b"")]),
        (
            "2.3",
            vec![ping(&[0, 0xff, 0xfe])],
            vec![pong(&[0, 0xff, 0xfe])],
        ),
        (
            "2.4",
            vec![ping(long.as_bytes())],
            vec![pong(long.as_bytes())],
        ),
        (
            "2.7: a pong that nobody asked for",
            vec![masked(PONG, b""), masked(PONG, b"x"), ping(b"y")],
            vec![pong(b"y")],
        ),
        (
            "2.10",
            (0..10_u8).map(|nth| ping(&[nth])).collect(),
            (0..10_u8).map(|nth| pong(&[nth])).collect(),
        ),
        (
            "5.3",
            vec![part(TEXT, "one, "), part(LAST, "two")],
            vec![text("one, two")],
        ),
        (
            "5.6: a ping in between",
            vec![part(TEXT, "one, "), ping(b"!"), part(LAST, "two")],
            vec![pong(b"!"), text("one, two")],
        ),
        (
            "5.19: many parts, and pings in between",
            vec![
                part(TEXT, "1"),
                part(CONTINUATION, "2"),
                ping(b"a"),
                part(CONTINUATION, "3"),
                part(CONTINUATION, ""),
                ping(b"b"),
                part(LAST, "4"),
            ],
            vec![pong(b"a"), pong(b"b"), text("1234")],
        ),
        (
            "6.1: nothing, in three parts",
            vec![part(TEXT, ""), part(CONTINUATION, ""), part(LAST, "")],
            vec![text("")],
        ),
        (
            "6.2: a character in each part",
            "\u{3ba}\u{1f80}\u{10ffff}"
                .bytes()
                .enumerate()
                .map(|(nth, byte)| masked(if nth == 0 { TEXT } else { CONTINUATION }, &[byte]))
                .chain([masked(LAST, b"")])
                .collect(),
            vec![text("\u{3ba}\u{1f80}\u{10ffff}")],
        ),
        (
            "6.22: what is no character and still UTF-8",
            vec![part(LAST | TEXT, "\u{fffe}\u{ffff}\u{1fffe}\u{0}\u{7f}")],
            vec![text("\u{fffe}\u{ffff}\u{1fffe}\u{0}\u{7f}")],
        ),
    ];
    let server = start(&[]);
    for (name, sent, expected) in cases {
        // At once, frame by frame, and byte by byte.
        let (whole, bytes) = (sent.concat(), sent.concat());
        let pieces = [
            vec![whole],
            sent,
            bytes.iter().map(|byte| vec![*byte]).collect(),
        ];
        for pieces in pieces {
            let mut raw = Raw::open(&server, "/echo");
            raw.0.set_nodelay(true).unwrap();
            for piece in &pieces {
                raw.0.write_all(piece).unwrap();
            }
            for frame in &expected {
                assert_eq!(next(&mut raw), *frame, "{name}");
            }
            raw.0.write_all(&closing(1000, "")).unwrap();
            assert_eq!(next(&mut raw).0, CLOSE, "{name}");
        }
    }
}

#[test]
fn messages_of_every_length_come_back_however_they_are_cut() {
    let server = start(&[]);
    let mut raw = Raw::open(&server, "/echo");
    let lengths = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1 << 20];
    for length in lengths {
        let payload: Vec<u8> = (0..length).map(|nth| (nth % 251) as u8).collect();
        raw.0.write_all(&masked(LAST | BINARY, &payload)).unwrap();
        let (first, came) = next(&mut raw);
        assert!(first == LAST | BINARY && came == payload, "{length}");
    }
    let payload = vec![b'*'; 1 << 18];
    for part in [64, 1024, 1 << 16] {
        let mut chunks = payload.chunks(part).peekable();
        let mut kind = TEXT;
        while let Some(chunk) = chunks.next() {
            let last = if chunks.peek().is_none() { LAST } else { 0 };
            raw.0.write_all(&masked(last | kind, chunk)).unwrap();
            kind = CONTINUATION;
        }
        let (first, came) = next(&mut raw);
        assert!(first == LAST | TEXT && came == payload, "parts of {part}");
    }
}

#[test]
fn reserved_bits_and_opcodes_end_the_connection() {
    let server = start(&[]);
    // One bit, two and three of them, on data, control frames and what goes on (section 3); and each opcode that
    // means nothing (section 4).
    let bits = (1..8_u8).map(|bits| bits << 4);
    let bits = bits.flat_map(|bits| [LAST | TEXT, LAST | BINARY, PING, CLOSE].map(|it| it | bits));
    let opcodes = (0x3..0x8).chain(0xb..0x10).map(|opcode| LAST | opcode);
    for first in bits.chain(opcodes) {
        for payload in [&b""[..], b"some"] {
            let mut raw = Raw::open(&server, "/echo");
            raw.0.write_all(&frame(first, payload)).unwrap();
            assert_eq!(raw.code(), 1002, "{first:#x} {payload:?}");
        }
    }
    let mut raw = Raw::open(&server, "/echo");
    let after_part = [frame(TEXT, b"a"), frame(LAST | 0x40, b"b")].concat();
    raw.0.write_all(&after_part).unwrap();
    assert_eq!(raw.code(), 1002);
}

#[test]
fn text_that_is_not_utf8_ends_the_connection_wherever_it_is_cut() {
    let server = start(&[]);
    for bytes in [
        // Section 6: bytes that cannot be, too long, too large, surrogates, and what is cut short.
        &b"\x80"[..],
        b"\xbf\xbf\xbf",
        b"\xc0 ",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xce\xba\xe1",
        b"\xf0\x9f\xa6",
    ] {
        let whole = [b"good ", bytes].concat();
        for cut in 0..=whole.len() {
            let (before, after) = whole.split_at(cut);
            let parts = [masked(TEXT, before), masked(LAST, after)].concat();
            let mut raw = Raw::open(&server, "/echo");
            raw.0.write_all(&parts).unwrap();
            assert_eq!(raw.code(), 1007, "{whole:x?} cut at {cut}");
        }
    }
}

#[test]
fn closes_are_answered_with_their_code_and_nothing_is_read_after_them() {
    let server = start(&[]);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        for reason in ["", "because", &"x".repeat(123)] {
            let mut raw = Raw::open(&server, "/echo");
            let after = [masked(LAST | TEXT, b"too late"), masked(PING, b"")].concat();
            let sent = [closing(code, reason), after].concat();
            raw.0.write_all(&sent).unwrap();
            let (first, payload) = next(&mut raw);
            assert_eq!((first, &payload[..2]), (CLOSE, &code.to_be_bytes()[..]));
            let mut rest = Vec::new();
            // It may be reset, as what came late was not read.
            let _ = raw.0.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{code} {rest:x?}");
        }
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let mut raw = Raw::open(&server, "/echo");
        raw.0.write_all(&closing(code, "why")).unwrap();
        assert_eq!(raw.code(), 1002, "{code}");
    }
    let mut raw = Raw::open(&server, "/echo");
    raw.0.write_all(&masked(CLOSE, b"")).unwrap();
    let (first, payload) = next(&mut raw);
    assert_eq!(first, CLOSE);
    assert!(payload.is_empty() || payload == 1000_u16.to_be_bytes());
}
