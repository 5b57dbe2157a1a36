//! The log has lines as uvicorn writes them, or JSON objects. Each leaves in one write, and a reader that has gone
//! away, or that reads no more, neither ends nor stops the server. The access log goes to standard output, the rest to
//! standard error, if the operator has not named another place.
//!
//! It is our own, since many processes write to it, in lines that are escaped, and lost rather than waited for.

mod access;
mod bar;
mod destination;
mod emit;
mod encode;
mod failed;
mod format;
mod guest;
mod line_writer;
pub mod mount;
mod panics;
pub mod pipes;
pub mod recent;
mod system_log;
pub mod writer;

pub use access::AccessRecord;
pub use bar::{Bar, Spinner};
pub use destination::Destination;
pub use emit::take_lost;
pub use encode::{escape, push_target, timestamp};
pub use failed::{FailedRequest, failed};
pub use format::{AccessFormat, CapturedFields};
pub use guest::{GuestLine, GuestStream, guest};

use crate::trace::Trace;
use anyhow::{Context, Result};
use emit::emit;
use encode::{Json, Lines, Timestamp, push_trace};
use line_writer::LineWriter;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Critical,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub level: Level,
    pub format: Format,
    pub colors: bool,
    /// Lines of text begin with the time.
    pub time: bool,
    /// What happens goes here, and requests go there.
    pub file: Destination,
    pub access_file: Destination,
    /// The operator's format of the access log, where there is one.
    pub access_format: Option<AccessFormat>,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

static STDOUT: LineWriter = LineWriter::new(1);
static STDERR: LineWriter = LineWriter::new(2);

const DEFAULT: Settings = Settings {
    level: Level::Info,
    format: Format::Text,
    colors: false,
    time: false,
    file: Destination::Standard,
    access_file: Destination::Standard,
    access_format: None,
};

/// Decides how everything that follows is written, and opens where it is to be written. Processes forked later
/// inherit it.
pub fn init(settings: Settings) -> Result<()> {
    let places = [
        (&settings.file, &STDERR, "--log-file"),
        (&settings.access_file, &STDOUT, "--access-logfile"),
    ];
    for (destination, output, option) in places {
        let begun = destination.begin(output);
        begun.with_context(|| format!("option {option}"))?;
    }
    let _ = SETTINGS.set(settings);
    reopen();
    panics::tell();
    Ok(())
}

/// Opens the outputs for this process alone. A child that wrote to what its parent has opened could have its parent
/// wait for the reader (O_NONBLOCK, fcntl(2)).
pub fn reopen() {
    STDOUT.prepare();
    STDERR.prepare();
    emit::begin_counting();
}

/// Lists the descriptors that a child which logs must keep.
pub fn descriptors() -> impl Iterator<Item = i32> {
    let outputs = [&STDOUT, &STDERR].into_iter();
    outputs.flat_map(LineWriter::descriptors)
}

/// Says how events of this level are written; returns `None` where they are not.
pub fn format(level: Level) -> Option<Format> {
    let settings = settings();
    (level <= settings.level).then_some(settings.format)
}

/// The application that this process serves has this digest.
static COMPONENT: OnceLock<String> = OnceLock::new();

/// Decides which application failures are told to be of.
pub fn set_component(digest: String) {
    let _ = COMPONENT.set(digest);
}

/// Returns the digest of the application that this process serves.
pub fn component() -> Option<&'static str> {
    COMPONENT.get().map(String::as_str)
}

/// Returns the operator's format of the access log, for which parts of heads are kept.
pub fn access_format() -> Option<&'static AccessFormat> {
    settings().access_format.as_ref()
}

fn settings() -> &'static Settings {
    SETTINGS.get().unwrap_or(&DEFAULT)
}

impl Level {
    pub fn parse(text: &str) -> Option<Level> {
        Some(match text {
            "critical" => Level::Critical,
            "error" => Level::Error,
            "warning" => Level::Warning,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Level::Critical => "CRITICAL",
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }

    /// Chooses the ANSI colour, as uvicorn does.
    fn color(self) -> &'static str {
        match self {
            Level::Critical => "91",
            Level::Error => "31",
            Level::Warning => "33",
            Level::Info => "32",
            Level::Debug => "36",
            Level::Trace => "34",
        }
    }
}

/// Writes one event, if its level is wanted.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    write_of(level, None, message);
}

/// Writes one event of a request that belongs to this trace.
pub fn write_of(level: Level, trace: Option<&Trace>, message: fmt::Arguments<'_>) {
    let settings = settings();
    if level <= settings.level {
        let line = line(settings, level, trace, SystemTime::now(), message);
        emit(&STDERR, &settings.file, level, &line);
    }
}

/// Names a request within a message: by its id and, where that is not told as fields of their own, by its trace.
pub fn request_name(id: Option<&str>, trace: Option<&Trace>) -> String {
    let trace = trace.filter(|_| settings().format == Format::Text);
    match (id, trace) {
        (Some(id), Some(trace)) => format!("{id} trace={}", trace.id),
        (None, Some(trace)) => format!("trace={}", trace.id),
        (id, None) => id.unwrap_or_default().to_owned(),
    }
}

/// Writes one line of the access log.
pub fn access(access: &AccessRecord<'_>) {
    let settings = settings();
    if Level::Info <= settings.level {
        let line = access.line(settings, SystemTime::now());
        emit(&STDOUT, &settings.access_file, Level::Info, &line);
    }
}

/// Says why the process ends, in plain words and whatever the settings are: also to whoever has started it.
pub fn last_words(text: &str) {
    let (line, file) = (format!("{}\n", escape(text)), &settings().file);
    emit(&STDERR, file, Level::Critical, &line);
    if *file != Destination::Standard {
        // Nobody else can be told.
        let _ = LineWriter::new(2).emit(&line, |_, _| String::new());
    }
}

fn line(
    settings: &Settings,
    level: Level,
    trace: Option<&Trace>,
    now: SystemTime,
    message: fmt::Arguments<'_>,
) -> String {
    let mut line = String::with_capacity(128);
    let name = level.name();
    let written = match settings.format {
        Format::Text => {
            begin(&mut line, settings, &settings.file, level, now);
            writeln!(line, "{}", Lines(&message.to_string()))
        }
        Format::Json => {
            let time = Timestamp(now);
            let pid = std::process::id();
            let message = Json(&message.to_string()).to_string();
            let written = write!(
                line,
                r#"{{"time":"{time}","level":"{name}","pid":{pid},"message":"{message}""#
            );
            push_trace(&mut line, trace);
            line.push_str("}\n");
            written
        }
    };
    debug_assert!(written.is_ok());
    line
}

/// Begins a line with the time where that is wanted, the level, and as many spaces as make the message begin in column
/// 11 without the time. The system's log has a place of its own for either.
fn begin(
    line: &mut String,
    settings: &Settings,
    destination: &Destination,
    level: Level,
    now: SystemTime,
) {
    if destination.is_service() {
        return mount::push_text(line);
    }
    if settings.time {
        let _ = write!(line, "{} ", Timestamp(now));
    }
    let name = level.name();
    if settings.colors && *destination == Destination::Standard {
        for part in ["\x1b[", level.color(), "m", name, "\x1b[0m"] {
            line.push_str(part);
        }
    } else {
        line.push_str(name);
    }
    line.push_str(&":         "[..10_usize.saturating_sub(name.len())]);
    mount::push_text(line);
}

#[macro_export]
macro_rules! error {
    ($($message:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($message)*)) };
}

#[macro_export]
macro_rules! warning {
    ($($message:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($message)*)) };
}

#[macro_export]
macro_rules! info {
    ($($message:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($message)*)) };
}

#[macro_export]
macro_rules! debug {
    ($($message:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($message)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(format: Format, level: Level, message: &str) -> String {
        let settings = Settings { format, ..DEFAULT };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_789);
        line(&settings, level, None, now, format_args!("{message}"))
    }

    #[test]
    fn text_reads_like_uvicorns() {
        assert_eq!(
            written(Format::Text, Level::Info, "hello"),
            "INFO:     hello\n"
        );
        assert_eq!(
            written(Format::Text, Level::Warning, "hello"),
            "WARNING:  hello\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = written(Format::Json, Level::Error, "a \"b\"\nc\u{1}");
        let pid = std::process::id();
        let expected = format!(
            "{{\"time\":\"2000-02-29T12:34:56.789Z\",\"level\":\"ERROR\",\"pid\":{pid},\
             \"message\":\"a \\\"b\\\"\\nc\\u0001\"}}\n"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn lines_begin_with_the_time_where_that_is_wanted() {
        let settings = Settings {
            time: true,
            ..DEFAULT
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_789);
        assert_eq!(
            line(&settings, Level::Error, None, now, format_args!("hello")),
            "2000-02-29T12:34:56.789Z ERROR:    hello\n"
        );
        let settings = Settings {
            file: Destination::Syslog("/dev/log".into()),
            ..settings
        };
        let to_syslog = line(&settings, Level::Error, None, now, format_args!("hello"));
        assert_eq!(to_syslog, "hello\n");
    }

    /// These characters act on a terminal, a viewer or a reader of lines.
    const ACTING: &str = "\0\x07\x08\r\x0b\x1b\x7f\u{85}\u{90}\u{9b}\u{9d}\u{61c}\u{200e}\u{200f}\
        \u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

    #[test]
    fn text_from_outside_cannot_forge_a_line() {
        assert_eq!(
            escape("a\nINFO: b\x1b[2J").to_string(),
            "a\\nINFO: b\\u{1b}[2J"
        );
        let escaped = escape(ACTING).to_string();
        assert!(escaped.is_ascii(), "{escaped}");
        assert_eq!(escape("\u{e4}\t\u{65e5}").to_string(), "\u{e4}\t\u{65e5}");
    }

    /// Names of functions, last words and errors of libraries reach the log in messages that nobody escaped.
    #[test]
    fn no_message_can_forge_another() {
        let message = format!("x{ACTING}\nERROR:    forged");
        let text = written(Format::Text, Level::Info, &message);
        assert!(text.is_ascii(), "{text}");
        assert!(text.ends_with("\n    ERROR:    forged\n"), "{text}");
        let json = written(Format::Json, Level::Info, &message);
        assert!(json.is_ascii() && json.matches('\n').count() == 1, "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["message"], message);
    }
}
