//! This file says what is tried again and what is not, and how long is waited in between.

use super::reference::Reference;
use crate::warning;
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use tokio::time::sleep;

/// Something that may work later is tried this often.
const ATTEMPTS: u32 = 5;

/// This is the first pause, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A registry is granted no longer pause than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A `CallError` says why something failed.
#[derive(Debug)]
pub enum CallError {
    /// Another attempt may work, not before this time where somebody said so.
    Passing {
        why: anyhow::Error,
        after: Option<Duration>,
    },
    /// No attempt will work.
    Final(anyhow::Error),
}

impl CallError {
    pub fn passing(why: anyhow::Error) -> CallError {
        CallError::Passing { why, after: None }
    }

    /// Judges an answer with this status: those that are tried again say so.
    pub fn of_status(status: StatusCode, headers: &HeaderMap, why: anyhow::Error) -> CallError {
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {}
            status if status.is_server_error() => {}
            _ => return CallError::Final(why),
        }
        let after = headers.get(http::header::RETRY_AFTER);
        let seconds = after.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        let after = seconds.map(Duration::from_secs);
        CallError::Passing { why, after }
    }
}

impl<E: Into<anyhow::Error>> From<E> for CallError {
    fn from(why: E) -> CallError {
        CallError::Final(why.into())
    }
}

/// Counts attempts. What made progress has all of them before it.
pub struct Attempts {
    /// This is asked for.
    reference: String,
    made: u32,
}

impl Attempts {
    pub fn at(reference: &Reference) -> Attempts {
        Attempts {
            reference: reference.to_string(),
            made: 0,
        }
    }

    pub fn start_over(&mut self) {
        self.made = 0;
    }

    /// Says what failed, and waits until the next attempt; an error where there is none.
    pub async fn next(&mut self, failure: CallError) -> anyhow::Result<()> {
        let (why, after) = match failure {
            CallError::Passing { why, after } => (why, after),
            CallError::Final(why) => return Err(why),
        };
        self.made += 1;
        if self.made >= ATTEMPTS {
            return Err(why);
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.made - 1);
        let pause = after
            .map_or(pause, |after| after.max(pause))
            .min(LONGEST_PAUSE);
        let seconds = pause.as_secs_f32();
        warning!("{}: {why:#}; asking again in {seconds} s", self.reference);
        sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    fn of(status: u16, after: Option<&str>) -> Option<Option<Duration>> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(http::header::RETRY_AFTER, after.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        match CallError::of_status(status, &headers, anyhow!("no")) {
            CallError::Passing { after, .. } => Some(after),
            CallError::Final(_) => None,
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
        assert_eq!(of(503, None), Some(None));
        assert_eq!(of(429, Some("7")), Some(Some(Duration::from_secs(7))));
        assert_eq!(of(500, Some("soon")), Some(None));
        for last in [400, 401, 403, 404, 416] {
            assert_eq!(of(last, None), None, "{last}");
        }
    }
}
