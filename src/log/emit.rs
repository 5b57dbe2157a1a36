//! A line leaves for where its log is kept, and for the last lines that a process has in memory. One that cannot be written
//! is counted, and that lines are lost is told where else somebody may read it.

use super::line_writer::{LineWriter, Loss};
use super::panics::Writing;
use super::{Destination, Level, STDERR, STDOUT, Settings, line, recent, settings, system_log};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// What is lost of one log is told of elsewhere no more often than this, however often it can be written for a moment.
const BETWEEN_MS: u64 = 60_000;

/// `LostLines` is what this process has lost of one log.
struct LostLines {
    /// These were not asked for yet.
    count: AtomicU64,
    /// It was told at this time, in milliseconds of `sys::clock`; nought where it never was.
    told_ms: AtomicU64,
}

impl LostLines {
    const fn new() -> LostLines {
        LostLines {
            count: AtomicU64::new(0),
            told_ms: AtomicU64::new(0),
        }
    }

    /// Says whether it is to be told that lines are lost from now on.
    fn is_news(&self) -> bool {
        let (now, told) = (crate::sys::clock::now_ms(), self.told_ms.load(Relaxed));
        let is_news = told == 0 || now.saturating_sub(told) >= BETWEEN_MS;
        if is_news {
            self.told_ms.store(now, Relaxed);
        }
        is_news
    }
}

/// What happens is in the first of the logs, requests are in the second.
static LOST: [LostLines; 2] = [LostLines::new(), LostLines::new()];

/// Takes how many lines this process has lost since this was asked last: of what happens, and of the access log.
pub fn take_lost() -> [u64; 2] {
    [&LOST[0], &LOST[1]].map(|lost| lost.count.swap(0, Relaxed))
}

/// Begins to count for this process alone. What its parent has told is not told again.
pub(super) fn begin_counting() {
    let _ = take_lost();
}

pub(super) fn emit(output: &LineWriter, destination: &Destination, level: Level, line: &str) {
    let _writing = Writing::begin();
    let is_access = std::ptr::eq(output, &raw const STDOUT);
    recent::keep(is_access, level, line);
    if let Err(loss) = send(output, destination, level, line) {
        let lost = &LOST[usize::from(is_access)];
        lost.count.fetch_add(1, Relaxed);
        if loss.is_first && lost.is_news() {
            tell(is_access, destination, &loss.why);
        }
    }
}

fn send(
    output: &LineWriter,
    destination: &Destination,
    level: Level,
    line: &str,
) -> Result<(), Loss> {
    let is_service = destination.is_service();
    let about_lost = |lost, why: &io::Error| {
        let message = format!("{lost} log lines were lost: {}", reason(why));
        let text = warning(settings(), &message);
        match is_service {
            true => system_log::marked(Level::Warning, &text),
            false => text,
        }
    };
    match is_service {
        true => output.emit(&system_log::marked(level, line), about_lost),
        false => output.emit(line, about_lost),
    }
}

/// Tells that lines are lost: of the access log in the other log, and of that on standard error.
fn tell(is_access: bool, destination: &Destination, why: &io::Error) {
    let (log, stream) = match is_access {
        true => ("access log", "standard output"),
        false => ("log", "standard error"),
    };
    let place = match destination.path() {
        Some(path) => format!("`{}`", path.display()),
        None => stream.to_owned(),
    };
    let why = match why.kind() {
        io::ErrorKind::WouldBlock => "nobody reads it".to_owned(),
        _ => reason(why),
    };
    let message = format!("Lines of the {log} are lost, as {place} cannot be written: {why}");
    let settings = settings();
    if Level::Warning > settings.level {
        return;
    }
    let line = warning(settings, &message);
    if is_access {
        emit(&STDERR, &settings.file, Level::Warning, &line);
        return;
    }
    recent::keep(false, Level::Warning, &line);
    if *destination != Destination::Standard {
        // Where this is lost too there is no other place.
        let _ = LineWriter::new(2).emit(&line, |_, _| String::new());
    }
}

/// Says why a line is lost.
fn reason(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::WouldBlock => "nobody read them".to_owned(),
        _ => why.to_string(),
    }
}

fn warning(settings: &Settings, message: &str) -> String {
    let (level, now) = (Level::Warning, SystemTime::now());
    line(settings, level, None, now, format_args!("{message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_no_news_for_a_minute() {
        let lost = LostLines::new();
        assert!(lost.is_news() && !lost.is_news());
        let before = crate::sys::clock::now_ms().saturating_sub(BETWEEN_MS);
        lost.told_ms.store(before.max(1), Relaxed);
        assert_eq!(lost.is_news(), before > 0);
    }
}
