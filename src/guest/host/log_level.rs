//! Programs say in their lines how important these are: this finds the level in what the common libraries write.

use crate::log::Level;

/// The level stands among this many words at the beginning, after a time perhaps.
const WORDS: usize = 5;

/// Finds the level that a line names, as Python's `logging`, Flask, Go's `slog` and Rust's `tracing` and `env_logger`
/// write it. A level counts only before anything else that is said.
pub fn detect(line: &str) -> Option<Level> {
    for word in line.split_ascii_whitespace().take(WORDS) {
        let (named, rest) = match word.strip_prefix("level=") {
            Some(value) => (value, ""),
            None => word.split_once(':').unwrap_or((word, "")),
        };
        let named = named.trim_matches(['[', ']', '(', ')', '<', '>', '"', ',', '-']);
        if let Some(level) = level(named) {
            return Some(level);
        }
        // Times and processes are said before the level.
        let is_number = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
        if !(named.is_empty() || is_number(named) || is_number(rest)) {
            return None;
        }
    }
    None
}

fn level(word: &str) -> Option<Level> {
    Some(match word {
        "CRITICAL" | "FATAL" => Level::Critical,
        "ERROR" => Level::Error,
        "WARNING" | "WARN" => Level::Warning,
        "INFO" | "NOTICE" => Level::Info,
        "DEBUG" => Level::Debug,
        "TRACE" => Level::Trace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_found_in_what_libraries_write() {
        for (line, wanted) in [
            ("WARNING:root:something", Level::Warning),
            ("INFO:     Uvicorn's form", Level::Info),
            ("INFO [alembic.runtime.migration] context", Level::Info),
            ("2026-11-28 08:00:00,123 DEBUG app: x", Level::Debug),
            ("2026-11-28 08:00:00,123 - INFO - x", Level::Info),
            (
                "[2026-11-28 08:00:00,123] ERROR in app: Exception on / [GET]",
                Level::Error,
            ),
            (
                "[2026-11-28 08:00:00 +0000] [12] [CRITICAL] x",
                Level::Critical,
            ),
            ("[2026-11-28T08:00:00Z WARN  app] x", Level::Warning),
            ("2026-11-28T08:00:00.123456Z  INFO app: x", Level::Info),
            ("2026/11/28 08:00:00 INFO hello count=3", Level::Info),
            (
                "time=2026-11-28T08:00:00.000Z level=INFO msg=hello",
                Level::Info,
            ),
        ] {
            assert_eq!(detect(line), Some(wanted), "{line}");
        }
    }

    #[test]
    fn what_only_speaks_of_a_level_names_none() {
        for line in [
            "",
            "Traceback (most recent call last):",
            "the level is INFO",
            "panic: runtime error: index out of range",
            "thread 'main' (1) panicked at src/lib.rs:3:5: INFO",
            "2026/11/28 08:00:00 http: panic serving /: boom",
            "info: not in capitals",
            "ValueError: INFO",
        ] {
            assert_eq!(detect(line), None, "{line}");
        }
    }
}
