//! Guests that need more than one slice of the processor take turns: one of them runs between two looks
//! at sockets and timers, however many there are, so that their neighbours wait for one slice at most.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;

/// Those of one worker. First come, first served.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(1)))
    }
}

/// One guest's place among them. The engine demands a lock where one thread would do.
pub struct Turn {
    turns: Turns,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Turn {
    pub fn new(turns: &Turns) -> Turn {
        Turn {
            turns: turns.clone(),
            held: Mutex::new(None),
        }
    }

    /// The slice is over, or the guest waits for something else.
    pub fn end(&self) {
        self.hold(None);
    }

    /// Resolves when this guest may run its next slice.
    pub async fn next(&self) {
        self.end();
        let permit = self.turns.0.clone().acquire_owned().await.ok();
        // The runtime's own way to yield: it looks at sockets and timers before it goes on here, which a
        // bare wake-up would not make it do.
        yield_now().await;
        self.hold(permit);
    }

    fn hold(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn one_runs_while_another_waits() {
        let turns = Turns::default();
        let [first, second] = [(); 2].map(|()| Turn::new(&turns));
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        runtime.block_on(first.next());
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiting = pin!(second.next());
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Pending);
        first.end();
        runtime.block_on(waiting);
    }
}
