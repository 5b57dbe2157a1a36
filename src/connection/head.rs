//! This file judges the head of an HTTP/1 request as it came over the wire, more strictly than the parser behind it:
//! where two readers could disagree on what a head means, one of them can be made to see a request that the other does
//! not.

use super::codings::Codings;
use super::refusal::{HeadRefusal, refused};
use super::request_target::{LONGEST_TARGET, encoded_length, is_for_a_url, is_target};
use crate::request::length::number;
use crate::request::{LONGEST_METHOD, Octets, is_host};
use http::{Request, StatusCode};

/// `Framing` says how the body after a head is framed (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// A method that is too long is refused as one that is not known (RFC 9112 section 3).
pub const METHOD_TOO_LONG: HeadRefusal =
    refused(StatusCode::NOT_IMPLEMENTED, "its method is too long");

/// The type of names has room for less than this.
const LONGEST_NAME: usize = u16::MAX as usize;

/// Lengths from here on have a meaning of their own in the parser behind.
const LONGEST_BODY: u64 = u64::MAX - 2;

/// Judges a whole head, whose lines all end in CR LF, without the empty lines around it. `most_fields` bounds the
/// number of its header fields.
pub fn validate(head: &[u8], most_fields: usize) -> Result<Framing, HeadRefusal> {
    let mut lines = head.split(|byte| *byte == b'\n').map(trim_cr);
    let version = request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields::default();
    let mut count = 0;
    for line in lines.filter(|line| !line.is_empty()) {
        count += 1;
        if count > most_fields {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(refused(status, "it has too many header fields"));
        }
        fields.read(line)?;
    }
    fields.validate(version)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// Judges a request line (RFC 9112 section 3).
fn request_line(line: &[u8]) -> Result<Version, HeadRefusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(refused(BAD, "its request line is not three words"));
    };
    if !is_token(method) {
        return Err(refused(BAD, "its method is not a token"));
    }
    if method.len() > LONGEST_METHOD {
        return Err(METHOD_TOO_LONG);
    }
    let version = match version {
        b"HTTP/1.0" => Version::Http10,
        // A later minor version is understood as the latest that is known (RFC 9110 section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
        _ if is_version(version) => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(refused(status, "its version is not HTTP/1"));
        }
        _ => return Err(refused(BAD, "its request line ends in no HTTP version")),
    };
    if encoded_length(target) > LONGEST_TARGET {
        return Err(refused(StatusCode::URI_TOO_LONG, "its target is too long"));
    }
    if is_target(method, target) {
        Ok(version)
    } else {
        Err(refused(BAD, "its target is not one for its method"))
    }
}

/// Reads what a request line asks for, without its end; `None` where it is not sound.
pub fn asked(line: &[u8]) -> Option<Request<()>> {
    let line = trim_cr(line);
    let version = match request_line(line).ok()? {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    };
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next()?;
    let mut target = String::new();
    for byte in words.next()? {
        match is_for_a_url(*byte) {
            true => target.push(char::from(*byte)),
            false => target.push_str(&format!("%{byte:02X}")),
        }
    }
    let asked = Request::builder().method(method).uri(target);
    asked.version(version).body(()).ok()
}

fn is_version(word: &[u8]) -> bool {
    matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// `Fields` are those that decide who is asked, and where the request ends.
#[derive(Default)]
struct Fields {
    host: Option<()>,
    length: Option<u64>,
    codings: Codings,
}

impl Fields {
    /// Judges a field (RFC 9112 section 5).
    fn read(&mut self, line: &[u8]) -> Result<(), HeadRefusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(refused(BAD, "a header field is folded"));
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(refused(BAD, "a header field has no colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(refused(BAD, "the name of a header field is not a token"));
        }
        if value
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err(refused(BAD, "a header field holds a control character"));
        }
        match name.len() {
            LONGEST_NAME.. => Err(refused(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the name of a header field is too long",
            )),
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.codings.read(value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes the field Host: an empty one is there, and names no host (RFC 9110 section 7.2).
    fn host(&mut self, value: &[u8]) -> Result<(), HeadRefusal> {
        match self.host.replace(()) {
            None if value.is_empty() || is_host(value) => Ok(()),
            None => Err(refused(BAD, "its Host is malformed")),
            Some(()) => Err(refused(BAD, "it has several Hosts")),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), HeadRefusal> {
        let Some(length) = number(value) else {
            return Err(refused(BAD, "its Content-Length is not a number"));
        };
        if length >= LONGEST_BODY {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(refused(status, "its body is too large"));
        }
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(refused(BAD, "it has several Content-Lengths")),
        }
    }

    fn validate(&self, version: Version) -> Result<Framing, HeadRefusal> {
        // RFC 9112 section 3.2.
        if self.host.is_none() && version == Version::Http11 {
            return Err(refused(BAD, "it has no Host"));
        }
        if self.codings.are_none() {
            return Ok(Framing::Length(self.length.unwrap_or(0)));
        }
        if self.length.is_some() {
            let why = "it has both a Content-Length and a Transfer-Encoding";
            return Err(refused(BAD, why));
        }
        if version == Version::Http10 {
            return Err(refused(BAD, "it is HTTP/1.0 with a Transfer-Encoding"));
        }
        self.codings.validate()
    }
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Says whether a word is a token (RFC 9110 section 5.6.2).
pub fn is_token(word: &[u8]) -> bool {
    static TCHAR: Octets = Octets::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !word.is_empty() && TCHAR.make_up(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        match validate(head.as_bytes(), 100) {
            Ok(_) => 200,
            Err(refusal) => refusal.status.as_u16(),
        }
    }

    fn with(fields: &str) -> u16 {
        status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"))
    }

    #[test]
    fn what_every_client_sends_is_fine() {
        for line in [
            "GET / HTTP/1.1",
            "GET /a?b=c%20d HTTP/1.1",
            "GET http://a:80/b HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "M-SEARCH /x HTTP/1.1",
            "GET / HTTP/1.2",
            "GET /<x>?a=\"b\"` HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET http://a/<x> HTTP/1.1",
        ] {
            assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 200, "{line}");
        }
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
        assert_eq!(with("X: a\tb \u{e9}\r\nEmpty:\r\n"), 200);
    }

    #[test]
    fn a_request_line_that_is_none_is_refused() {
        for (line, expected) in [
            ("GET  / HTTP/1.1", 400),
            ("GET / HTTP/1.1 ", 400),
            ("GET /", 400),
            ("G(T / HTTP/1.1", 400),
            ("GET / http/1.1", 400),
            ("GET / HTTP/1.10", 400),
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/3.1", 505),
            ("GET / HTTP/1.x", 400),
            ("GET a HTTP/1.1", 400),
            ("GET * HTTP/1.1", 400),
            ("GET a:80 HTTP/1.1", 400),
            ("GET /#f HTTP/1.1", 400),
            ("GET /\t HTTP/1.1", 400),
            ("GET http://a<b/ HTTP/1.1", 400),
            ("CONNECT a<b:80 HTTP/1.1", 400),
        ] {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            assert_eq!(status(&head), expected, "{line}");
        }
    }

    #[test]
    fn a_method_is_not_longer_than_any_that_is_known() {
        let long = "A".repeat(LONGEST_METHOD + 1);
        assert_eq!(
            status(&format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n")),
            501
        );
    }

    #[test]
    fn there_is_one_host() {
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(with("Host: a"), 400);
        assert_eq!(with("Host:"), 400);
        for head in ["Host:", "Host: \t"] {
            let head = format!("GET / HTTP/1.1\r\n{head}\r\n\r\n");
            assert_eq!(status(&head), 200, "{head}");
        }
        for host in [
            "a b", "a,b", "a/b", "u@a", "a:port", "a:70000", "a:80:80", "[::1", "[::1]8", "[]",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(status(&head), 400, "{host}");
        }
        for host in [
            "a",
            "a.example:8000",
            "127.0.0.1",
            "[::1]:80",
            "[::1]",
            "a:",
            "xn--a_b",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(status(&head), 200, "{host}");
        }
    }

    #[test]
    fn there_is_one_way_to_read_where_it_ends() {
        for (fields, expected) in [
            ("Content-Length: 5", 200),
            ("Content-Length: +5", 400),
            ("Content-Length: -5", 400),
            ("Content-Length: 5, 5", 400),
            ("Content-Length: 0x5", 400),
            ("Content-Length:", 400),
            ("Content-Length: 99999999999999999999", 400),
            ("Content-Length: 18446744073709551615", 413),
            ("Content-Length: 18446744073709551613", 413),
            ("Content-Length: 5\r\nContent-Length: 5", 400),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked", 200),
            ("Transfer-Encoding: Chunked", 200),
            ("Transfer-Encoding: chunked, gzip", 400),
            ("Transfer-Encoding: xchunked", 400),
            ("Transfer-Encoding: chunked, chunked", 400),
            ("Transfer-Encoding: gzip, chunked", 501),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                400,
            ),
            ("Transfer-Encoding: \u{b}chunked", 400),
            ("Transfer-Encoding: , chunked ,", 200),
            ("Transfer-Encoding: ,", 400),
            ("Transfer-Encoding:", 400),
            ("Transfer-Encoding: gzip", 400),
            ("Transfer-Encoding: , chunked\r\nContent-Length: 5", 400),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding:", 400),
        ] {
            assert_eq!(with(fields), expected, "{fields}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status(old), 400);
    }

    #[test]
    fn a_field_is_a_name_a_colon_and_a_value() {
        for fields in [
            "X : a",
            "X\t: a",
            " X: a",
            "X",
            ": a",
            "X: a\r\n b",
            "X: a\0b",
            "X: a\rb",
            "(X): a",
        ] {
            assert_eq!(with(fields), 400, "{fields:?}");
        }
    }

    #[test]
    fn fields_are_counted() {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(100)
        );
        assert_eq!(status(&head), 431);
    }
}
