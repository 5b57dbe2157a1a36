//! A `Timer` waits for a deadline that is put off again and again: the clock is set anew only when the deadline was
//! reached, or when the next one is earlier.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep};

/// Where nothing is to be waited for, it is looked at again after this time.
const SELDOM: Duration = Duration::from_secs(3600);

/// The timer is `None` as long as nothing was waited for.
#[derive(Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Resolves with the deadline's meaning once it has passed.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: impl Fn() -> Option<(Instant, T)>,
    ) -> Poll<T> {
        let mut next = deadline();
        if next.is_none() && self.0.is_none() {
            return Poll::Pending;
        }
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep(SELDOM)));
        loop {
            if let Some((until, _)) = &next
                && *until < sleep.deadline().into_std()
            {
                sleep.as_mut().reset((*until).into());
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match next {
                Some((until, meaning)) if until <= now => {
                    // It is not to be polled again before it is set.
                    sleep.as_mut().reset((now + SELDOM).into());
                    return Poll::Ready(meaning);
                }
                Some((until, _)) => sleep.as_mut().reset(until.into()),
                None => sleep.as_mut().reset((now + SELDOM).into()),
            }
            next = deadline();
        }
    }
}
