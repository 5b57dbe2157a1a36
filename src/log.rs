//! Log lines as uvicorn writes them, or as JSON objects. Each leaves in one write, and a reader that
//! has gone away does not end the server. The access log goes to standard output, the rest to
//! standard error.

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
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

const DEFAULT: Settings = Settings {
    level: Level::Info,
    format: Format::Text,
    colors: false,
};

/// Decides how everything that follows is written. Processes forked later inherit it.
pub fn init(settings: Settings) {
    let _ = SETTINGS.set(settings);
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

    /// ANSI colours, as uvicorn has them.
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
    let settings = settings();
    if level <= settings.level {
        emit(2, &line(settings, level, SystemTime::now(), message));
    }
}

/// Writes one line of the access log.
pub fn access(message: fmt::Arguments<'_>) {
    let settings = settings();
    if Level::Info <= settings.level {
        emit(1, &line(settings, Level::Info, SystemTime::now(), message));
    }
}

/// Why the process ends, in plain words and whatever the settings are.
pub fn last_words(text: &str) {
    emit(2, &format!("{text}\n"));
}

fn line(settings: &Settings, level: Level, now: SystemTime, message: fmt::Arguments<'_>) -> String {
    let mut line = String::with_capacity(128);
    let name = level.name();
    let written = match settings.format {
        Format::Text => {
            // The message begins in column 11 whatever the level's name.
            let pad = 9_usize.saturating_sub(name.len());
            if settings.colors {
                writeln!(
                    line,
                    "\x1b[{}m{name}\x1b[0m:{:pad$}{message}",
                    level.color(),
                    ""
                )
            } else {
                writeln!(line, "{name}:{:pad$}{message}", "")
            }
        }
        Format::Json => {
            let time = Timestamp(now);
            let pid = std::process::id();
            let message = Json(&message.to_string()).to_string();
            writeln!(
                line,
                r#"{{"time":"{time}","level":"{name}","pid":{pid},"message":"{message}"}}"#
            )
        }
    };
    debug_assert!(written.is_ok());
    line
}

/// One write, so that lines of several processes do not mix. Nobody can be told of a failure.
fn emit(fd: i32, line: &str) {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match crate::sys::file::write(fd, rest) {
            Ok(0) => return,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Text from outside, without the power to begin a new line or to talk to the terminal.
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    Escaped(text)
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() && c != '\t' {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// The inside of a JSON string (RFC 8259 section 7).
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// RFC 3339, UTC, milliseconds.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self
            .0
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant, "chrono-compatible low-level
/// date algorithms", days_from_civil inverted).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
        line(&settings, level, now, format_args!("{message}"))
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
    fn text_from_outside_cannot_forge_a_line() {
        assert_eq!(
            escape("a\nINFO: b\x1b[2J").to_string(),
            "a\\nINFO: b\\u{1b}[2J"
        );
    }
}
