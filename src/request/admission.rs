//! Who may be answered now, who waits, and who is turned away: the bound on what one worker does at a
//! time.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded number of seats with a bounded queue before them.
pub struct Admission {
    seats: Arc<Semaphore>,
    waiting: Rc<Cell<usize>>,
    queue: usize,
    wait: Duration,
}

/// The right to be answered; the seat is free again when it is dropped.
pub type Seat = OwnedSemaphorePermit;

/// Why a request was turned away.
#[derive(Debug, PartialEq, Eq)]
pub enum Full {
    /// As many wait already as may.
    Queue,
    /// It waited as long as it may.
    Wait,
}

impl Admission {
    pub fn new(seats: usize, queue: usize, wait: Duration) -> Admission {
        Admission {
            seats: Arc::new(Semaphore::new(seats)),
            waiting: Rc::default(),
            queue,
            wait,
        }
    }

    /// Takes a seat, in the order of asking.
    pub async fn enter(&self) -> Result<Seat, Full> {
        if let Ok(seat) = self.seats.clone().try_acquire_owned() {
            return Ok(seat);
        }
        if self.waiting.get() >= self.queue {
            return Err(Full::Queue);
        }
        let _place = Place::take(&self.waiting);
        match tokio::time::timeout(self.wait, self.seats.clone().acquire_owned()).await {
            Ok(Ok(seat)) => Ok(seat),
            Ok(Err(_)) | Err(_) => Err(Full::Wait),
        }
    }

    /// Resolves when every one of the `seats` is free.
    pub async fn idle(&self, seats: usize) {
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.seats.acquire_many(seats).await;
    }
}

/// A place in the queue, given up however the waiting ends.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(waiting: &Rc<Cell<usize>>) -> Place {
        waiting.set(waiting.get() + 1);
        Place(waiting.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_full_house_queues_and_then_turns_away() {
        run(async {
            let admission = Admission::new(1, 1, Duration::from_secs(3600));
            let seat = admission.enter().await.unwrap();
            let mut second = std::pin::pin!(admission.enter());
            tokio::select! {
                biased;
                _ = &mut second => panic!("there was no seat"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(admission.enter().await.unwrap_err(), Full::Queue);
            drop(seat);
            assert!(second.await.is_ok());
        });
    }

    #[test]
    fn nobody_waits_for_ever() {
        run(async {
            let admission = Admission::new(1, 1, Duration::from_millis(1));
            let _seat = admission.enter().await.unwrap();
            assert_eq!(admission.enter().await.unwrap_err(), Full::Wait);
            assert_eq!(admission.waiting.get(), 0);
        });
    }
}
