//! A small HTTP/2 client, one frame at a time (RFC 9113), so that a test can send what no client sends.

use super::DEADLINE;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The highest stream that the sender of a GOAWAY will answer.
    pub fn last_stream(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY);
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

pub struct Http2<S> {
    pub stream: S,
    next: u32,
}

impl Http2<TcpStream> {
    /// Without being asked (prior knowledge).
    pub fn open(address: SocketAddr) -> io::Result<Http2<TcpStream>> {
        let socket = TcpStream::connect_timeout(&address, DEADLINE)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_nodelay(true)?;
        Http2::over(socket)
    }
}

impl<S: Read + Write> Http2<S> {
    pub fn over(stream: S) -> io::Result<Http2<S>> {
        Http2::with_settings(stream, &[])
    }

    pub fn with_settings(mut stream: S, settings: &[u8]) -> io::Result<Http2<S>> {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut client = Http2 { stream, next: 1 };
        client.send(SETTINGS, 0, 0, settings)?;
        Ok(client)
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&framed(kind, flags, stream, payload))
    }

    /// The number of a stream that is to be begun.
    pub fn next_stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Asks for a path; the number of the stream.
    pub fn get(&mut self, path: &str) -> io::Result<u32> {
        let head = head("GET", path, &[]);
        self.ask(END_STREAM, &head)
    }

    /// Sends a head; the number of the stream.
    pub fn ask(&mut self, flags: u8, head: &[u8]) -> io::Result<u32> {
        let stream = self.next_stream();
        self.send(HEADERS, END_HEADERS | flags, stream, head)?;
        Ok(stream)
    }

    /// The next frame as it comes.
    pub fn raw_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload: vec![0; length],
        };
        self.stream.read_exact(&mut frame.payload)?;
        Ok(frame)
    }

    /// The next frame, settings and pings being answered on the way.
    pub fn frame(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self.raw_frame()?;
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[])?,
                (PING, 0) => self.send(PING, ACK, 0, &frame.payload)?,
                (SETTINGS | PING, _) | (WINDOW_UPDATE, _) => {}
                _ => return Ok(frame),
            }
        }
    }

    /// The next frame of this kind.
    pub fn wait_for(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.frame()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// The body of an answer, once it is whole.
    pub fn answer(&mut self, stream: u32) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let frame = self.frame()?;
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                DATA => body.extend(&frame.payload),
                RST_STREAM => return Err(io::ErrorKind::ConnectionReset.into()),
                _ => {}
            }
            if frame.ends_stream() {
                return Ok(body);
            }
        }
    }

    /// The bodies of answers that come in any order, once all are whole.
    pub fn answers(&mut self, streams: &[u32]) -> io::Result<HashMap<u32, Vec<u8>>> {
        let mut bodies: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut open: HashSet<u32> = streams.iter().copied().collect();
        while !open.is_empty() {
            let frame = self.frame()?;
            match frame.kind {
                DATA => bodies
                    .entry(frame.stream)
                    .or_default()
                    .extend(&frame.payload),
                GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
                RST_STREAM if open.contains(&frame.stream) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                _ => {}
            }
            if frame.ends_stream() {
                bodies.entry(frame.stream).or_default();
                open.remove(&frame.stream);
            }
        }
        Ok(bodies)
    }

    /// Whether the server closes without having anything more to say but that it goes.
    pub fn is_closed(&mut self) -> bool {
        while let Ok(frame) = self.frame() {
            assert_eq!(frame.kind, GOAWAY, "{frame:?}");
        }
        true
    }
}

pub fn framed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head block (RFC 7541) without compression; names in lower case.
pub fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", path),
    ];
    raw_head(pseudo.iter().chain(fields))
}

pub fn raw_head<'a>(fields: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal, not indexed, with a name of its own.
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn integer(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push((value % 128) as u8 | 128);
        value /= 128;
    }
    block.push(value as u8);
}
