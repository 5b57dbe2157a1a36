//! Text, times and strings are written into a log line in this way.
//!
//! The time is our own and not a crate's: only UTC is written, and no time is read.

use super::mount;
use crate::sys::clock;
use crate::trace::Trace;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

/// Escapes text from outside, so that it cannot begin a new line, talk to the terminal, or be read in another order
/// than it was written.
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    Escaped(text)
}

/// Says whether a character does something to what surrounds it: controls (C0, DEL, C1), the ends of lines and
/// paragraphs that are none (U+2028, U+2029), and what turns the direction of writing (Unicode Standard Annex #9,
/// section 2).
fn acts(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// This much of a target is told.
const LONGEST_TARGET: usize = 3000;

/// Writes the target so that it cannot end the line or what quotes it: what has no place in a URL is percent-encoded,
/// as uvicorn does.
pub fn push_target(line: &mut String, target: &str) {
    let start = line.len();
    let mut bytes = target.bytes();
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if bytes.len() <= LONGEST_TARGET && bytes.clone().all(plain) {
        return line.push_str(target);
    }
    for byte in bytes.by_ref() {
        if plain(byte) {
            line.push(char::from(byte));
        } else {
            let _ = write!(line, "%{byte:02X}");
        }
        if line.len() - start >= LONGEST_TARGET {
            break;
        }
    }
    if bytes.len() > 0 {
        line.push_str("...");
    }
}

/// Adds the members by which tools find whose an object is: the mount, and the trace.
pub fn push_trace(line: &mut String, trace: Option<&Trace>) {
    mount::push_member(line);
    if let Some(Trace { id, span, .. }) = trace {
        let _ = write!(line, r#","trace_id":"{id}","span_id":"{span}""#);
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if acts(c) && c != '\t' {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// `Json` writes the inside of a JSON string (RFC 8259 section 7).
pub struct Json<'a>(pub &'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c if acts(c) => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `Lines` writes a message as it stands in a line of text. Further lines are indented, so that none of them can be
/// taken for another event.
pub struct Lines<'a>(pub &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.split('\n');
        lines.next().map_or(Ok(()), |line| escape(line).fmt(f))?;
        lines.try_for_each(|line| write!(f, "\n    {}", escape(line)))
    }
}

/// A `Timestamp` is written as RFC 3339 has it: UTC, with milliseconds.
pub struct Timestamp(pub SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self
            .0
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = clock::date(days.cast_signed());
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// Writes a time as RFC 3339 has it.
pub fn timestamp(time: SystemTime) -> String {
    Timestamp(time).to_string()
}

/// `Dated` writes a time as the Common Log Format has it, in UTC.
pub struct Dated(pub SystemTime);

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        let (year, month, day) = clock::date((seconds / 86_400).cast_signed());
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let month = MONTHS[usize::from(month) - 1];
        write!(
            f,
            "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000"
        )
    }
}
