//! A `GuestLogger` writes what a guest says into the log: it adds the request, and limits how much of it is written.

use super::request_name::RequestName;
use crate::log::{self, GuestLine, GuestStream, Level};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One request may write this many lines in a second. Further ones are counted, and the count is told.
const LINES: u32 = 200;
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
}

impl GuestLogger {
    pub fn new(request: Option<RequestName>) -> GuestLogger {
        GuestLogger(Mutex::new(RequestLog {
            request,
            since: None,
            lines: 0,
            suppressed: 0,
        }))
    }

    /// Has further lines belong to another request.
    pub fn set_request(&self, request: Option<RequestName>) {
        let mut request_log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_log.report_suppressed();
        request_log.request = request;
        request_log.lines = 0;
    }

    /// Writes a line of the guest's.
    pub fn say(&self, level: Level, stream: GuestStream, context: &str, message: &str) {
        let mut request_log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_log.record(stream, context, message);
        if log::format(level).is_some() && request_log.may_write(Instant::now()) {
            request_log.say(level, stream, context, message);
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
            self.report_suppressed();
            (self.since, self.lines) = (Some(now), 0);
        }
        self.lines += 1;
        let may = self.lines <= LINES;
        self.suppressed += u64::from(!may);
        may
    }

    fn report_suppressed(&mut self) {
        let suppressed = std::mem::take(&mut self.suppressed);
        if suppressed > 0 {
            let message = format!("{suppressed} lines of the guest's were left out");
            self.say(Level::Warning, GuestStream::Log, "", &message);
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
        self.report_suppressed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_instead_of_written() {
        let logger = GuestLogger::new(None);
        let mut request_log = logger.0.lock().unwrap();
        let start = Instant::now();
        let spoken = (0..LINES + 50)
            .filter(|_| request_log.may_write(start))
            .count();
        assert_eq!(spoken, LINES as usize);
        assert_eq!(request_log.suppressed, 50);
        assert!(request_log.may_write(start + SECOND));
        assert_eq!(request_log.suppressed, 0);
    }
}
