//! Clients that mean harm, over both versions of HTTP: what they cost is bounded, and so is how long they are listened to.

use super::frames::{Raw, broken, frame};
use super::start;
use crate::harness::http2::{DATA, Frame, HEADERS, Http2, RST_STREAM, WINDOW_UPDATE, head};
use crate::harness::websocket::{closed, next, open};
use crate::harness::{Server, peak};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::spawn;
use tokio_tungstenite::tungstenite::Message;

/// Who is not listened to any more cannot send so much.
const MUCH: usize = 64 << 20;

/// A WebSocket in a stream of HTTP/2, whose client sends no more than there is room for (RFC 9113 section 5.2).
struct Stream {
    http2: Http2<TcpStream>,
    stream: u32,
    /// There is room for so much: of the connection, and of the stream.
    room: [usize; 2],
    came: Vec<u8>,
    is_over: bool,
}

impl Stream {
    fn open(server: &Server, path: &str) -> Stream {
        let mut http2 = Http2::open(server.address).unwrap();
        let fields = [(":protocol", "websocket"), ("sec-websocket-version", "13")];
        let stream = http2.ask(0, &head("CONNECT", path, &fields)).unwrap();
        let answer = http2.wait_for(HEADERS).unwrap();
        assert_eq!(answer.payload[0], 0x88, "{path}");
        Stream {
            http2,
            stream,
            // What the server's settings give, and its first word.
            room: [1 << 20; 2],
            came: Vec::new(),
            is_over: false,
        }
    }

    fn take(&mut self, frame: &Frame) {
        match frame.kind {
            WINDOW_UPDATE => {
                let more = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                self.room[usize::from(frame.stream == self.stream)] += more as usize;
            }
            RST_STREAM | DATA if frame.stream != self.stream => {}
            RST_STREAM => self.is_over = true,
            DATA => {
                self.came.extend(&frame.payload);
                self.is_over |= frame.ends_stream();
                let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
                for stream in [0, self.stream] {
                    if more != [0; 4] && !self.is_over {
                        let sent = self.http2.send(WINDOW_UPDATE, 0, stream, &more);
                        sent.unwrap();
                    }
                }
            }
            _ => {}
        }
    }

    /// Sends, and says whether there was room for it before the stream was over.
    fn send(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let room = *self.room.iter().min().unwrap();
            let (now, rest) = bytes.split_at(bytes.len().min(room).min(16_000));
            if now.is_empty() {
                let frame = self.http2.raw_frame().unwrap();
                self.take(&frame);
                if self.is_over {
                    return false;
                }
                continue;
            }
            self.http2.send(DATA, 0, self.stream, now).unwrap();
            self.room = self.room.map(|room| room - now.len());
            bytes = rest;
        }
        true
    }

    /// The code of the close that comes, among pongs.
    fn code(&mut self) -> u16 {
        loop {
            while self.came.len() >= 2 && self.came.len() >= 2 + usize::from(self.came[1]) {
                let frame: Vec<u8> = self.came.drain(..2 + usize::from(self.came[1])).collect();
                if frame[0] == 0x88 {
                    return u16::from_be_bytes([frame[2], frame[3]]);
                }
            }
            let frame = self.http2.raw_frame().unwrap();
            self.take(&frame);
        }
    }
}

#[test]
fn frames_that_break_the_protocol_end_a_stream_of_http2_and_no_other() {
    let server = start(&["--ws-max-size", "1KiB"]);
    for (name, bytes, expected) in broken() {
        let mut stream = Stream::open(&server, "/echo");
        assert!(stream.send(&bytes), "{name}");
        assert_eq!(stream.code(), expected, "{name}");
        let answered = stream.http2.get("/").unwrap();
        let answers = stream.http2.answers(&[answered]);
        assert_eq!(
            answers.unwrap()[&answered],
            b"an ordinary answer\n",
            "{name}"
        );
    }
}

/// What the first part of a message of no end is, and what goes on with it; and pings of no end.
const ENDLESS: [(&str, u8, u8, u16); 3] = [
    ("pings", 0x89, 0x89, 1008),
    ("parts", 0x01, 0x00, 1009),
    ("large parts", 0x02, 0x00, 1009),
];

#[test]
fn pings_and_parts_without_end_in_a_stream_of_http2_are_too_many() {
    let server = start(&["--ws-max-size", "1KiB"]);
    for (name, first, rest, expected) in ENDLESS {
        let payload = vec![b'x'; if name == "large parts" { 600 } else { 0 }];
        let mut stream = Stream::open(&server, "/echo");
        stream.send(&frame(first, &payload));
        let many = frame(rest, &payload).repeat(1000);
        let mut sent = 0;
        while stream.send(&many) {
            sent += many.len();
            assert!(sent < MUCH, "{name}: {sent} bytes");
        }
        assert_eq!(stream.code(), expected, "{name}");
    }
}

/// Guards against clients that go on for as long as a request's body is thrown away, which was half a minute.
#[test]
fn who_sends_on_after_a_close_is_not_listened_to_for_long() {
    let server = start(&["--ws-max-size", "1KiB"]);
    for (name, first, code) in [
        ("too big", frame(0x82, &[0; 1025]), 1009),
        ("broken", frame(0x83, b""), 1002),
    ] {
        let mut raw = Raw::open(&server, "/echo");
        raw.0.write_all(&first).unwrap();
        let mut writer = raw.0.try_clone().unwrap();
        let sending = spawn(move || {
            let more = vec![0; 1 << 16];
            let all = (0..MUCH / more.len()).take_while(|_| writer.write_all(&more).is_ok());
            all.count() * more.len()
        });
        assert_eq!(Raw(raw.0.try_clone().unwrap()).code(), code, "{name}");
        let sent = sending.join().unwrap();
        assert!(sent < MUCH, "{name}: {sent} bytes");
        let mut stream = Stream::open(&server, "/echo");
        stream.send(&first);
        let more = vec![0; 1 << 16];
        let mut sent = 0;
        while stream.send(&more) {
            sent += more.len();
            assert!(sent < MUCH, "{name}, HTTP/2: {sent} bytes");
        }
        assert_eq!(stream.code(), code, "{name}, HTTP/2");
    }
}

/// A guest that has closed takes nothing any more, and its client may not know.
#[test]
fn who_sends_on_after_the_guest_has_closed_is_not_listened_to_for_long() {
    let server = start(&["--ws-max-size", "1KiB"]);
    let mut raw = Raw::open(&server, "/close?code=4001");
    let message = frame(0x82, &[0; 1000]).repeat(60);
    let mut sent = 0;
    while sent < MUCH && raw.0.write_all(&message).is_ok() {
        sent += message.len();
    }
    assert!(sent < MUCH, "{sent} bytes");
}

#[test]
fn a_client_that_never_reads_is_reset_in_http2_too_and_holds_little() {
    let server = start(&["--timeout-write", "1s", "--max-memory", "32MiB"]);
    let worker = server.workers()[0];
    let before = peak(worker);
    let stream = Stream::open(&server, "/flood");
    server.wait_for("\"WebSocket /flood\" closed 1006 after ");
    assert!(
        !server.printed().contains("trapped"),
        "{}",
        server.printed()
    );
    let taken = peak(worker) - before;
    assert!(taken < 64 << 20, "{taken} bytes");
    drop(stream);
}

/// All of this at once, while somebody else is answered by the same worker.
#[test]
fn others_are_answered_meanwhile() {
    let server = start(&["--ws-max-size", "64KiB"]);
    let mut good = open(&server, "/echo");
    let worker = server.workers();
    let attackers: Vec<_> = [0x89, 0x8a, 0x01, 0x02]
        .into_iter()
        .map(|first| {
            let mut raw = Raw::open(&server, "/echo");
            spawn(move || {
                raw.0.write_all(&frame(first, b"x")).unwrap();
                let rest = frame(if first < 0x80 { 0x00 } else { first }, b"x").repeat(1000);
                for _ in 0..1000 {
                    if raw.0.write_all(&rest).is_err() {
                        break;
                    }
                }
                let mut ignored = Vec::new();
                let _ = raw.0.read_to_end(&mut ignored);
            })
        })
        .collect();
    for round in 0..100 {
        let message = Message::text(format!("{round}"));
        good.send(message.clone()).unwrap();
        assert_eq!(next(&mut good), message);
    }
    attackers.into_iter().for_each(|it| it.join().unwrap());
    good.close(None).unwrap();
    assert_eq!(closed(&mut good).0, 1005);
    assert_eq!(server.workers(), worker);
}
