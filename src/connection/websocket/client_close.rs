//! `ClientClose` has the code that a client closes with, as it came: the parser takes 1014 for a code that nobody may
//! send, though it is registered (IANA's WebSocket Close Code Number Registry), and answers it as a fault.

use super::boundary::Boundary;
use super::close_code::{GATEWAY, PROTOCOL, close_frame};
use crate::request::websocket::Closed;
use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

#[derive(Default)]
pub struct ClientClose {
    boundary: Boundary,
    /// This has come of what the client closes with.
    payload: Vec<u8>,
    /// The client has closed: nothing more is followed.
    has_closed: bool,
}

impl ClientClose {
    /// Follows these bytes of the client's.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.has_closed {
            let mask = self.boundary.close_mask();
            let (passed, rest) = bytes.split_at(self.boundary.step(bytes));
            if let Some(mask) = mask {
                let place = self.payload.len();
                let mask = mask.iter().cycle().skip(place % mask.len());
                self.payload
                    .extend(passed.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
                self.has_closed = self.boundary.is_between();
            }
            bytes = rest;
        }
    }

    /// Gives what the client has closed with, where the parser says this of it, and the answer that takes the place of
    /// the parser's own.
    pub fn read(&self, parsed: CloseFrame) -> (Closed, Option<Answer>) {
        let said = Closed::new(parsed.code.into(), &parsed.reason);
        let Some((code, reason)) = self.payload.split_first_chunk() else {
            return (said, None);
        };
        let code = u16::from_be_bytes(*code);
        if said.code != PROTOCOL || code != GATEWAY {
            return (said, None);
        }
        // The parser has seen that it is UTF-8.
        let closed = Closed::new(code, &String::from_utf8_lossy(reason));
        let answer = Answer {
            parsed: bytes_of(parsed),
            own: bytes_of(close_frame(&closed)),
        };
        (closed, Some(answer))
    }
}

/// An `Answer` is sent in the place of the last frame that the parser writes.
pub struct Answer {
    pub parsed: Bytes,
    pub own: Bytes,
}

/// Returns a frame as a server sends it.
fn bytes_of(close: CloseFrame) -> Bytes {
    let frame = Frame::close(Some(close));
    let mut bytes = Vec::new();
    frame
        .format(&mut bytes)
        .expect("there is room in memory for a frame of control");
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [9, 8, 7, 6];
        let masked = payload.iter().zip(mask.iter().cycle());
        let masked: Vec<u8> = masked.map(|(byte, mask)| byte ^ mask).collect();
        let length = 0x80 | payload.len() as u8;
        [&[first, length][..], &mask, &masked].concat()
    }

    fn violation() -> CloseFrame {
        CloseFrame {
            code: PROTOCOL.into(),
            reason: "Protocol violation".into(),
        }
    }

    #[test]
    fn what_a_client_closes_with_is_found_however_it_comes() {
        let close = [&GATEWAY.to_be_bytes()[..], b"behind"].concat();
        let frames = [
            client_frame(0x81, b"a text"),
            client_frame(0x88, &close),
            client_frame(0x88, &[3, 232]),
        ]
        .concat();
        for piece in [1, 2, 5, frames.len()] {
            let mut client = ClientClose::default();
            frames.chunks(piece).for_each(|piece| client.pass(piece));
            let (closed, answer) = client.read(violation());
            assert_eq!(
                (closed.code, closed.reason.as_str()),
                (GATEWAY, "behind"),
                "{piece}"
            );
            let own = answer.unwrap().own;
            assert_eq!(own, [&[0x88, 8][..], &close].concat());
        }
    }

    #[test]
    fn another_code_is_what_the_parser_makes_of_it() {
        for close in [
            &1002_u16.to_be_bytes()[..],
            &999_u16.to_be_bytes(),
            b"",
            b"x",
        ] {
            let mut client = ClientClose::default();
            client.pass(&client_frame(0x88, close));
            let (closed, answer) = client.read(violation());
            assert_eq!(closed.code, PROTOCOL);
            assert!(answer.is_none());
        }
    }
}
