//! A `Refusal` answers what never became a request. It is the last answer on its connection: what comes after cannot
//! be told apart.

use http::StatusCode;
use std::time::SystemTime;

/// A `Refusal` says why nothing more is read, in the log's words, and the status that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub why: &'static str,
}

/// The head did not arrive in time (RFC 9110 section 15.5.9).
pub const TOO_SLOW: Refusal = Refusal {
    status: StatusCode::REQUEST_TIMEOUT,
    why: "its head did not come in time",
};

pub const fn refused(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why }
}

impl Refusal {
    /// The whole message; `fields` are lines of its head.
    pub fn message(&self, dated: bool, fields: &str) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or("Error");
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
    use super::*;

    #[test]
    fn a_refusal_is_a_whole_message() {
        let text = String::from_utf8(TOO_SLOW.message(false, "x: y\r\n")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{head}"
        );
        let rest = format!("\r\ncontent-length: {}\r\nx: y", body.len());
        assert!(head.ends_with(&rest), "{head}");
        assert!(!head.contains("date:"));
    }
}
