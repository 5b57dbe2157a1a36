//! Each request has one line in the access log: as uvicorn writes it, or as a JSON object.

use super::encode::{Json, Timestamp, push_target};
use super::format::CapturedFields;
use super::{Format, Level, Settings, begin, push_trace};
use crate::trace::Trace;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

/// An `AccessRecord` is what is told of one request, once it is over.
pub struct AccessRecord<'a> {
    pub client: &'a dyn fmt::Display,
    /// The client's address is given without its port, which is 0 where none is known.
    pub address: &'a dyn fmt::Display,
    pub port: u16,
    pub method: &'a str,
    /// The client sent this path and query.
    pub target: &'a str,
    pub protocol: &'a str,
    pub scheme: &'a str,
    pub status: u16,
    /// These words go with the status, where there are any.
    pub reason: &'static str,
    /// The bodies had this many bytes.
    pub received: u64,
    pub sent: u64,
    /// This much time passed from the head of the request to the end of the response.
    pub took: Duration,
    /// The guest was running for this much of that.
    pub guest: Duration,
    /// The worker that answered has this slot.
    pub worker: usize,
    pub id: Option<&'a str>,
    pub trace: Option<&'a Trace>,
    /// The header fields that the operator's format has.
    pub captured: &'a CapturedFields,
}

/// This much of a method is told. Lines of up to 4096 bytes never mix with those of other processes (pipe(7)).
const LONGEST_METHOD: usize = 32;

impl AccessRecord<'_> {
    pub(super) fn line(&self, settings: &Settings, now: SystemTime) -> String {
        let mut line = String::with_capacity(512);
        match (&settings.access_format, settings.format) {
            (Some(format), _) => line = format.line(self, now),
            (None, Format::Text) => {
                begin(&mut line, settings, &settings.access_file, Level::Info, now);
                self.text(&mut line);
            }
            (None, Format::Json) => self.json(&mut line, now),
        }
        line.push('\n');
        line
    }

    fn text(&self, line: &mut String) {
        let _ = write!(line, "{} - \"", self.client);
        line.push_str(self.method());
        if !self.is_unread() {
            line.push(' ');
            push_target(line, self.target);
            line.push(' ');
            line.push_str(self.protocol);
        }
        line.push_str("\" ");
        let _ = write!(line, "{}", self.status);
        if !self.reason.is_empty() {
            line.push(' ');
            line.push_str(self.reason);
        }
    }

    fn json(&self, line: &mut String, now: SystemTime) {
        let _ = write!(
            line,
            r#"{{"time":"{}","level":"INFO","pid":{},"message":"request","client":"{}","method":"{}","target":""#,
            Timestamp(now),
            std::process::id(),
            self.client,
            self.method(),
        );
        push_target(line, self.target);
        let _ = write!(
            line,
            r#"","protocol":"{}","status":{},"bytes_in":{},"bytes_out":{},"duration_ms":{},"guest_ms":{},"worker":{}"#,
            self.protocol,
            self.status,
            self.received,
            self.sent,
            Millis(self.took),
            Millis(self.guest),
            self.worker,
        );
        if let Some(id) = self.id {
            let _ = write!(line, r#","request_id":"{}""#, Json(id));
        }
        push_trace(line, self.trace);
        line.push('}');
    }

    /// Says whether nothing could be read of what was asked for; `-` stands for it.
    pub(super) fn is_unread(&self) -> bool {
        self.method == "-" && self.target == "-"
    }

    /// Returns the method if it is a token (RFC 9110 section 9.1), which can forge nothing.
    pub(super) fn method(&self) -> &str {
        &self.method[..self.method.len().min(LONGEST_METHOD)]
    }
}

/// `Millis` formats a duration with three digits after the point.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::DEFAULT;
    use super::*;

    pub const ACCESS: AccessRecord<'_> = AccessRecord {
        client: &"127.0.0.1:52000",
        address: &"127.0.0.1",
        port: 52000,
        method: "GET",
        target: "/a?b=c",
        protocol: "HTTP/1.1",
        scheme: "http",
        status: 200,
        reason: "OK",
        received: 5,
        sent: 14,
        took: Duration::from_micros(1500),
        guest: Duration::from_micros(750),
        worker: 3,
        id: Some("abc"),
        trace: None,
        captured: &CapturedFields {
            request: Vec::new(),
            response: Vec::new(),
        },
    };

    fn written(format: Format, access: &AccessRecord<'_>) -> String {
        let settings = Settings { format, ..DEFAULT };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_789);
        access.line(&settings, now)
    }

    #[test]
    fn text_reads_like_uvicorns() {
        let line = written(Format::Text, &ACCESS);
        assert_eq!(
            line,
            "INFO:     127.0.0.1:52000 - \"GET /a?b=c HTTP/1.1\" 200 OK\n"
        );
        let unknown = AccessRecord {
            status: 299,
            reason: "",
            ..ACCESS
        };
        assert!(written(Format::Text, &unknown).ends_with("HTTP/1.1\" 299\n"));
    }

    #[test]
    fn what_could_not_be_read_is_a_dash() {
        let unread = AccessRecord {
            method: "-",
            target: "-",
            status: 400,
            reason: "Bad Request",
            ..ACCESS
        };
        let line = written(Format::Text, &unread);
        assert_eq!(line, "INFO:     127.0.0.1:52000 - \"-\" 400 Bad Request\n");
    }

    #[test]
    fn json_tells_everything() {
        let pid = std::process::id();
        let expected = format!(
            "{{\"time\":\"2000-02-29T12:34:56.789Z\",\"level\":\"INFO\",\"pid\":{pid},\
             \"message\":\"request\",\"client\":\"127.0.0.1:52000\",\"method\":\"GET\",\
             \"target\":\"/a?b=c\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_in\":5,\
             \"bytes_out\":14,\"duration_ms\":1.500,\"guest_ms\":0.750,\"worker\":3,\
             \"request_id\":\"abc\"}}\n"
        );
        assert_eq!(written(Format::Json, &ACCESS), expected);
    }

    #[test]
    fn a_target_cannot_forge_a_line() {
        let target = "/\" 200 OK\n\r\u{1b}[2J\u{9b}31m\u{202e}\\\",\"x\":\"%0A";
        let access = AccessRecord { target, ..ACCESS };
        for format in [Format::Text, Format::Json] {
            let line = written(format, &access);
            let shown = "/%22%20200%20OK%0A%0D%1B[2J%C2%9B31m%E2%80%AE%5C%22,%22x%22:%22%0A";
            assert!(
                line.contains(&format!("{shown} HTTP")) || line.contains(&format!("{shown}\",")),
                "{line}"
            );
            assert_eq!(line.matches('\n').count(), 1);
        }
    }

    #[test]
    fn a_line_stays_short_enough_to_be_written_at_once() {
        for letter in ["x", "\u{e4}"] {
            let target = format!("/{}", letter.repeat(100_000));
            let access = AccessRecord {
                target: &target,
                method: &"M".repeat(100_000),
                ..ACCESS
            };
            for format in [Format::Text, Format::Json] {
                let line = written(format, &access);
                assert!(line.len() < 4096 && line.contains("..."), "{}", line.len());
            }
        }
    }
}
