//! A `GuestLogger` writes what a guest says into the log: it adds the request, and limits how much of it is written.

use super::request_name::RequestName;
use crate::log::{self, GuestLine, GuestStream, Level};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One request may write this many lines in a second. Of further ones the last are held, and written when the second or
/// the request is over: a traceback says at its end what happened. Those before them are counted, and the count is told.
const LINES: u32 = 200;
const LAST_LINES: usize = 50;

/// What is held has no more bytes than this.
const HELD: usize = 64 << 10;
const SECOND: Duration = Duration::from_secs(1);

/// A `GuestLogger` belongs to one instance. One thread uses it, but the engine requires a lock.
pub struct GuestLogger(Mutex<RequestLog>);

struct RequestLog {
    /// The request has this name, if any.
    request: Option<RequestName>,
    /// Lines are counted since then.
    since: Option<Instant>,
    lines: u32,
    suppressed: u64,
    held: VecDeque<HeldLine>,
    held_bytes: usize,
}

/// A `HeldLine` waits until it is known whether it is one of the last.
struct HeldLine {
    level: Level,
    stream: GuestStream,
    context: String,
    message: String,
}

impl HeldLine {
    fn length(&self) -> usize {
        self.context.len() + self.message.len()
    }
}

impl GuestLogger {
    pub fn new(request: Option<RequestName>) -> GuestLogger {
        GuestLogger(Mutex::new(RequestLog {
            request,
            since: None,
            lines: 0,
            suppressed: 0,
            held: VecDeque::new(),
            held_bytes: 0,
        }))
    }

    /// Has further lines belong to another request.
    pub fn set_request(&self, request: Option<RequestName>) {
        let mut request_log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_log.write_held();
        request_log.request = request;
        request_log.lines = 0;
    }

    /// Writes what is held: the request was answered, and nothing is said until the next.
    pub fn rest(&self) {
        let mut request_log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_log.write_held();
    }

    /// Writes a line of the guest's.
    pub fn say(&self, level: Level, stream: GuestStream, context: &str, message: &str) {
        let mut request_log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_log.record(stream, context, message);
        if log::format(level).is_none() {
            return;
        }
        match request_log.may_write(Instant::now()) {
            true => request_log.say(level, stream, context, message),
            false => request_log.hold(HeldLine {
                level,
                stream,
                context: context.to_owned(),
                message: message.to_owned(),
            }),
        }
    }
}

impl RequestLog {
    /// Has the request's recording note what the guest says, but for its talk on standard output.
    fn record(&self, stream: GuestStream, context: &str, message: &str) {
        let request = self.request.as_ref();
        let recorder = request.and_then(|request| request.recorder.as_ref());
        let Some(recorder) = recorder.filter(|_| stream != GuestStream::Stdout) else {
            return;
        };
        match context {
            "" => recorder.hear(message),
            context => recorder.hear(&format!("{context}: {message}")),
        }
    }

    fn may_write(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= SECOND {
            self.write_held();
            (self.since, self.lines) = (Some(now), 0);
        }
        self.lines += 1;
        self.lines <= LINES
    }

    fn hold(&mut self, line: HeldLine) {
        self.held_bytes += line.length();
        self.held.push_back(line);
        while self.held.len() > LAST_LINES || self.held_bytes > HELD {
            let Some(first) = self.held.pop_front() else {
                return;
            };
            self.held_bytes -= first.length();
            self.suppressed += 1;
        }
    }

    /// Writes the last lines, after how many are missing before them.
    fn write_held(&mut self) {
        let suppressed = std::mem::take(&mut self.suppressed);
        if suppressed > 0 {
            let message = format!("{suppressed} lines of the guest's were left out");
            self.say(Level::Warning, GuestStream::Log, "", &message);
        }
        self.held_bytes = 0;
        for line in std::mem::take(&mut self.held) {
            self.say(line.level, line.stream, &line.context, &line.message);
        }
    }

    fn say(&self, level: Level, stream: GuestStream, context: &str, message: &str) {
        let request = self.request.as_ref();
        let line = GuestLine {
            stream,
            request: request.and_then(|request| request.id.as_ref()?.to_str().ok()),
            trace: request.and_then(|request| request.trace.as_deref()),
            context,
            message,
        };
        log::guest(level, &line);
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.write_held();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_last_lines_are_written_and_the_rest_is_counted() {
        let logger = GuestLogger::new(None);
        let mut request_log = logger.0.lock().unwrap();
        let start = Instant::now();
        let mut spoken = 0;
        for nth in 0..LINES + 70 {
            match request_log.may_write(start) {
                true => spoken += 1,
                false => request_log.hold(line(&nth.to_string())),
            }
        }
        assert_eq!(spoken, LINES);
        assert_eq!(request_log.suppressed, 20);
        let held: Vec<u32> = request_log
            .held
            .iter()
            .map(|line| line.message.parse().unwrap())
            .collect();
        assert_eq!(held, (LINES + 20..LINES + 70).collect::<Vec<_>>());
        assert!(request_log.may_write(start + SECOND));
        assert_eq!(request_log.suppressed, 0);
        assert!(request_log.held.is_empty());
    }

    #[test]
    fn what_is_held_is_bounded() {
        let logger = GuestLogger::new(None);
        let mut request_log = logger.0.lock().unwrap();
        let long = "x".repeat(HELD / 4);
        (0..10).for_each(|_| request_log.hold(line(&long)));
        assert_eq!((request_log.held.len(), request_log.suppressed), (4, 6));
        request_log.hold(line(&"x".repeat(HELD + 1)));
        assert_eq!((request_log.held.len(), request_log.suppressed), (0, 11));
        assert_eq!(request_log.held_bytes, 0);
    }

    fn line(message: &str) -> HeldLine {
        HeldLine {
            level: Level::Error,
            stream: GuestStream::Stderr,
            context: String::new(),
            message: message.to_owned(),
        }
    }
}
