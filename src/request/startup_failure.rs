//! An application that does not start says so with every request: it is told whole once, and then counted.

use super::Requests;
use crate::error;
use crate::guest::Failure;
use anyhow::{Result, bail};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

impl Requests {
    /// Takes what the guests have counted over into the slot of this worker.
    pub fn publish_counts(&self) {
        if let Some(guest) = &self.guest {
            guest.publish_counts(&self.slot);
        }
    }

    /// Makes a profile of the guests by the command of this number.
    pub fn make_profile(&self, number: u32, time: Duration) {
        if let Some(guest) = &self.guest {
            guest.make_profile(number, time);
        }
    }

    /// Notes that there are this many workers now.
    pub fn share_memory(&self, workers: NonZeroUsize) {
        if let Some(guest) = &self.guest {
            guest.share_memory(workers);
        }
    }

    /// Has one instance start the application; what it says where it cannot is in the log.
    pub async fn start_application(&self) -> Result<()> {
        let Some(guest) = &self.guest else {
            return Ok(());
        };
        let Err(failure) = guest.start_application().await else {
            return Ok(());
        };
        error!("{failure}");
        error!("Application startup failed. Exiting.");
        bail!("the application does not start: {}", failure.last_word())
    }
}

/// Failures are counted for this long before the count is told.
const QUIET: Duration = Duration::from_secs(10);

/// The failures of one process are counted here.
static TOLD: Mutex<ReportHistory> = Mutex::new(ReportHistory {
    last: None,
    untold: 0,
});

struct ReportHistory {
    /// This was told last, at this time.
    last: Option<(String, Instant)>,
    untold: u64,
}

/// A `FailureReport` says what to write of one more failure.
#[derive(Debug, PartialEq, Eq)]
pub enum FailureReport {
    Whole,
    /// Write that there were this many failures like the last.
    Count(u64),
    Nothing,
}

/// Notes a failure, and says what to write of it.
pub fn note(failure: &Failure) -> FailureReport {
    let Failure::NotStarted(said) = failure else {
        return FailureReport::Whole;
    };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.note(said, Instant::now())
}

impl ReportHistory {
    fn note(&mut self, said: &str, now: Instant) -> FailureReport {
        self.untold += 1;
        let Some((text, since)) = &mut self.last else {
            self.last = Some((said.to_owned(), now));
            self.untold = 0;
            return FailureReport::Whole;
        };
        if now.duration_since(*since) < QUIET {
            return FailureReport::Nothing;
        }
        *since = now;
        let count = std::mem::take(&mut self.untold);
        if text == said {
            return FailureReport::Count(count);
        }
        said.clone_into(text);
        FailureReport::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_whole_once_and_then_counted() {
        let mut told = ReportHistory {
            last: None,
            untold: 0,
        };
        let start = Instant::now();
        assert_eq!(told.note("a", start), FailureReport::Whole);
        for _ in 0..3 {
            assert_eq!(told.note("a", start), FailureReport::Nothing);
        }
        assert_eq!(told.note("b", start), FailureReport::Nothing);
        assert_eq!(told.note("a", start + QUIET), FailureReport::Count(5));
        assert_eq!(told.note("b", start + QUIET), FailureReport::Nothing);
        assert_eq!(told.note("b", start + 2 * QUIET), FailureReport::Whole);
    }
}
