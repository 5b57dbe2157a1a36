//! What a guest says is a line of the log: with a short mark in text, and with fields of its own in JSON.

use super::encode::{Json, Lines, Timestamp};
use super::{Format, Level, STDERR, Settings, begin, emit, push_trace, settings};
use crate::trace::Trace;
use std::fmt::Write as _;
use std::time::SystemTime;

/// A guest says something by one of these ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestStream {
    Stdout,
    Stderr,
    /// The guest has logged the line by `wasi:logging`.
    Log,
}

/// A `GuestLine` is one line of a guest's.
pub struct GuestLine<'a> {
    pub stream: GuestStream,
    /// The guest was answering the request of this identifier.
    pub request: Option<&'a str>,
    pub trace: Option<&'a Trace>,
    /// The guest has named this context, where it uses `wasi:logging`.
    pub context: &'a str,
    pub message: &'a str,
}

/// This many characters of an identifier tell requests apart in text. JSON has all of it.
const SHORT_ID: usize = 8;

/// Writes a line of a guest's, if its level is wanted.
pub fn guest(level: Level, line: &GuestLine<'_>) {
    let settings = settings();
    if level <= settings.level {
        let line = line.line(settings, level, SystemTime::now());
        emit(&STDERR, &settings.file, level, &line);
    }
}

impl GuestStream {
    fn name(self) -> &'static str {
        match self {
            GuestStream::Stdout => "stdout",
            GuestStream::Stderr => "stderr",
            GuestStream::Log => "log",
        }
    }
}

impl GuestLine<'_> {
    fn line(&self, settings: &Settings, level: Level, now: SystemTime) -> String {
        let mut line = String::with_capacity(160);
        match settings.format {
            Format::Text => {
                begin(&mut line, settings, &settings.file, level, now);
                self.text(&mut line);
            }
            Format::Json => self.json(&mut line, level, now),
        }
        line.push('\n');
        line
    }

    fn text(&self, line: &mut String) {
        line.push_str("[guest");
        if let Some(id) = self.request {
            let short: String = id.chars().take(SHORT_ID).collect();
            let _ = write!(line, " {}", super::escape(&short));
        }
        if let Some(trace) = self.trace {
            let _ = write!(line, " trace={}", trace.id);
        }
        line.push_str("] ");
        if !self.context.is_empty() {
            let _ = write!(line, "{}: ", super::escape(self.context));
        }
        let _ = write!(line, "{}", Lines(self.message));
    }

    fn json(&self, line: &mut String, level: Level, now: SystemTime) {
        let _ = write!(
            line,
            r#"{{"time":"{}","level":"{}","pid":{},"source":"guest","stream":"{}""#,
            Timestamp(now),
            level.name(),
            std::process::id(),
            self.stream.name(),
        );
        if let Some(id) = self.request {
            let _ = write!(line, r#","request_id":"{}""#, Json(id));
        }
        if !self.context.is_empty() {
            let _ = write!(line, r#","context":"{}""#, Json(self.context));
        }
        let _ = write!(line, r#","message":"{}""#, Json(self.message));
        push_trace(line, self.trace);
        line.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT;
    use super::*;

    const LINE: GuestLine<'_> = GuestLine {
        stream: GuestStream::Stderr,
        request: Some("0123456789abcdef"),
        trace: None,
        context: "",
        message: "ValueError: boom",
    };

    fn written(format: Format, line: &GuestLine<'_>) -> String {
        let settings = Settings { format, ..DEFAULT };
        line.line(&settings, Level::Error, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_mark_is_short_in_text() {
        let line = written(Format::Text, &LINE);
        assert_eq!(line, "ERROR:    [guest 01234567] ValueError: boom\n");
        let without = GuestLine {
            request: None,
            context: "shop",
            ..LINE
        };
        let line = written(Format::Text, &without);
        assert_eq!(line, "ERROR:    [guest] shop: ValueError: boom\n");
    }

    #[test]
    fn json_tells_everything() {
        let line = written(Format::Json, &LINE);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["request_id"], "0123456789abcdef");
        assert_eq!(object["stream"], "stderr");
        assert_eq!(object["source"], "guest");
        assert_eq!(object["pid"], std::process::id());
        assert_eq!(object["message"], "ValueError: boom");
        assert!(object.get("context").is_none());
    }

    #[test]
    fn no_line_of_a_guest_can_forge_another() {
        let line = GuestLine {
            request: Some("a\u{1b}[2J"),
            context: "a\nERROR:",
            message: "b\nERROR:    forged\u{202e}",
            ..LINE
        };
        let text = written(Format::Text, &line);
        assert!(text.is_ascii(), "{text}");
        assert!(
            text.lines().skip(1).all(|rest| rest.starts_with("    ")),
            "{text}"
        );
        let json = written(Format::Json, &line);
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["context"], "a\nERROR:");
    }
}
