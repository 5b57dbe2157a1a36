//! A `HeadRefusal` answers what never became a request. It is the last answer on its connection: what comes after
//! cannot be told apart.

use http::StatusCode;
use std::time::SystemTime;

/// A `HeadRefusal` says why nothing more is read, in the log's words, and the status that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRefusal {
    pub status: StatusCode,
    pub why: &'static str,
}

/// The head did not arrive in time (RFC 9110 section 15.5.9).
pub const TOO_SLOW: HeadRefusal = HeadRefusal {
    status: StatusCode::REQUEST_TIMEOUT,
    why: "its head did not come in time",
};

/// The head is none that HTTP/2 allows.
pub const MALFORMED: HeadRefusal = refused(StatusCode::BAD_REQUEST, "its head is malformed");

pub const fn refused(status: StatusCode, why: &'static str) -> HeadRefusal {
    HeadRefusal { status, why }
}

impl HeadRefusal {
    fn reason(self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Returns the length of the message's body.
    pub fn length(self) -> u64 {
        self.reason().len() as u64 + 1
    }

    /// Writes the whole message; `fields` are lines of its head.
    pub fn message(&self, dated: bool, fields: &str) -> Vec<u8> {
        let reason = self.reason();
        let date = match dated {
            true => format!("date: {}\r\n", httpdate::fmt_http_date(SystemTime::now())),
            false => String::new(),
        };
        format!(
            "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\n{}{date}\r\n{reason}\n",
            self.status.as_u16(),
            reason.len() + 1,
            fields,
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::{Follower, FramingError, HeadLimits};
    use super::*;

    #[test]
    fn a_refusal_is_a_whole_message() {
        let text = String::from_utf8(TOO_SLOW.message(false, "x: y\r\n")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{head}"
        );
        assert_eq!(TOO_SLOW.length(), body.len() as u64);
        let rest = format!("\r\ncontent-length: {}\r\nx: y", body.len());
        assert!(head.ends_with(&rest), "{head}");
        assert!(!head.contains("date:"));
    }

    /// Otherwise the access log could not say what was refused.
    #[test]
    fn what_a_refused_head_asks_for_is_known_in_whatever_pieces_it_comes() {
        let limits = HeadLimits {
            head: 100,
            fields: 5,
        };
        let head = b"GET /a\"b?c HTTP/1.0\r\nHost: a\r\n\xff\x01: x\r\n\r\n";
        for size in 1..=head.len() {
            let mut follower = Follower::new(limits);
            let followed = head.chunks(size).try_for_each(|it| follower.follow(it));
            assert!(matches!(followed, Err(FramingError::Head { .. })), "{size}");
            let asked = follower.asked().unwrap();
            assert_eq!(asked.method(), "GET");
            assert_eq!(asked.uri(), "/a%22b?c");
            assert_eq!(asked.version(), http::Version::HTTP_10);
        }
        for unsound in ["GET / x HTTP/1.1\r\n\r\n", "GET /", "\r\n", ""] {
            let mut follower = Follower::new(limits);
            let _ = follower.follow(unsound.as_bytes());
            assert!(follower.asked().is_none(), "{unsound}");
        }
    }
}
