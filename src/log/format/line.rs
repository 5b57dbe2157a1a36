//! This file puts one line together: what clients say is escaped, and takes no more room than there is.

use super::Field;
use crate::log::AccessRecord;
use crate::log::encode::{Dated, Timestamp};
use http::HeaderValue;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

/// Lines of up to 4096 bytes never mix with those of other processes (pipe(7)).
const LONGEST_LINE: usize = 4096;

/// A field that is ours takes this much, at most.
const LONGEST_OWN: usize = 48;

/// One value of a client takes this much of the room, at most.
const LONGEST_VALUE: usize = 1024;

/// Computes how much room there is for what clients say, beside text of this length and this many fields.
pub fn room(text: usize, fields: usize) -> usize {
    LONGEST_LINE
        .saturating_sub(text + LONGEST_OWN * fields + 64)
        .max(256)
}

pub struct Line {
    pub text: String,
    json: bool,
    room: usize,
}

impl Line {
    pub fn new(json: bool, room: usize) -> Line {
        Line {
            text: String::with_capacity(512),
            json,
            room,
        }
    }

    /// Adds text of the format, or what the server says itself.
    pub fn push_own(&mut self, text: impl fmt::Display) {
        let _ = write!(self.text, "{text}");
    }

    pub fn push_field(&mut self, field: Field, access: &AccessRecord<'_>, now: SystemTime) {
        let (path, query) = split(access.target);
        match field {
            Field::Address => self.push_own(access.address),
            Field::Port => self.push_own(access.port),
            Field::Nothing => self.push_own("-"),
            Field::BracketedTime => self.push_own(format_args!("[{}]", Dated(now))),
            Field::LocalTime => self.push_own(Dated(now)),
            Field::IsoTime => self.push_own(Timestamp(now)),
            Field::UnixTime => {
                let since = now.duration_since(SystemTime::UNIX_EPOCH);
                let since = since.unwrap_or_default();
                self.push_own(format_args!(
                    "{}.{:03}",
                    since.as_secs(),
                    since.subsec_millis()
                ));
            }
            Field::RequestLine if access.is_unread() => self.push_own("-"),
            Field::RequestLine => {
                self.push_outside(access.method().as_bytes(), LONGEST_VALUE);
                self.push_own(" ");
                self.push_outside(access.target.as_bytes(), usize::MAX);
                self.push_own(" ");
                self.push_own(access.protocol);
            }
            Field::Method => self.push_outside(access.method().as_bytes(), LONGEST_VALUE),
            Field::Target => self.push_outside(access.target.as_bytes(), usize::MAX),
            Field::Path => self.push_outside(path.as_bytes(), usize::MAX),
            Field::Query => self.push_outside(query.unwrap_or_default().as_bytes(), usize::MAX),
            Field::QuestionMark => self.push_own(if query.is_some() { "?" } else { "" }),
            Field::Protocol => self.push_own(access.protocol),
            Field::Scheme => self.push_own(access.scheme),
            Field::Status => self.push_own(access.status),
            Field::Sent => self.push_own(access.sent),
            Field::SentOrDash if access.sent == 0 => self.push_own("-"),
            Field::SentOrDash => self.push_own(access.sent),
            Field::Received => self.push_own(access.received),
            Field::Seconds => self.push_own(access.took.as_secs()),
            Field::DecimalSeconds => {
                self.push_own(format_args!("{:.6}", access.took.as_secs_f64()))
            }
            Field::Milliseconds => self.push_own(access.took.as_millis()),
            Field::Microseconds => self.push_own(access.took.as_micros()),
            Field::GuestSeconds => self.push_own(format_args!("{:.6}", access.guest.as_secs_f64())),
            Field::Process => self.push_own(std::process::id()),
            Field::BracketedProcess => self.push_own(format_args!("<{}>", std::process::id())),
            Field::Worker => self.push_own(access.worker),
            Field::TraceId => match access.trace {
                Some(trace) => self.push_own(trace.id),
                None => self.push_own("-"),
            },
            Field::SpanId => match access.trace {
                Some(trace) => self.push_own(trace.span),
                None => self.push_own("-"),
            },
            Field::RequestId => self.push_outside(access.id.unwrap_or("-").as_bytes(), 128),
        }
    }

    pub fn push_value(&mut self, value: Option<HeaderValue>) {
        match value {
            Some(value) => self.push_outside(value.as_bytes(), LONGEST_VALUE),
            None => self.push_own("-"),
        }
    }

    /// Adds the name in credentials of the Basic scheme (RFC 7617). The password is never written.
    pub fn push_user(&mut self, value: Option<HeaderValue>) {
        let decoded = value.as_ref().and_then(|value| {
            let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
            let is_basic = scheme.eq_ignore_ascii_case("basic");
            is_basic.then(|| base64(rest.trim())).flatten()
        });
        let user = decoded.and_then(|decoded| {
            let end = decoded.iter().position(|byte| *byte == b':')?;
            Some(decoded[..end].to_vec()).filter(|user| !user.is_empty())
        });
        match user {
            Some(user) => self.push_outside(&user, 128),
            None => self.push_own("-"),
        }
    }

    /// Adds what a client says, escaped as nginx does it: it ends no line and no quotes, and begins no command of a
    /// terminal.
    fn push_outside(&mut self, bytes: &[u8], most: usize) {
        let start = self.text.len();
        let most = most.min(self.room);
        for byte in bytes {
            let plain = matches!(*byte, b' '..=b'~') && !matches!(*byte, b'"' | b'\\');
            let length = match (plain, self.json) {
                (true, _) => 1,
                (false, true) => 6,
                (false, false) => 4,
            };
            if self.text.len() - start + length + 3 > most {
                self.text.push_str("...");
                break;
            }
            match length {
                1 => self.text.push(char::from(*byte)),
                4 => _ = write!(self.text, "\\x{byte:02X}"),
                _ => _ = write!(self.text, "\\u{byte:04x}"),
            }
        }
        self.room = self.room.saturating_sub(self.text.len() - start);
    }
}

/// Splits a target into its path and its query.
fn split(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Decodes base64 as credentials have it (RFC 4648 section 4), with padding or without.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded() {
        assert_eq!(
            base64("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap(),
            b"Aladdin:open sesame"
        );
        assert_eq!(base64("YTo").unwrap(), b"a:");
        assert_eq!(base64("a b"), None);
    }
}
