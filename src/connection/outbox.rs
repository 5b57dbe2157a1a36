//! Answers that leave together. What a write costs is mostly waking its client: where answers come thick and fast,
//! those of one round of the serving loop wait for its end, and are written one after the other.

use super::socket::Wire;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// An answer waits for others only where the last one came no longer ago than this: what it waits for is about as
/// quick as it was.
const THICK: Duration = Duration::from_micros(100);

/// So many wait at most.
const MOST: usize = 32;

/// That of one worker.
pub struct Outbox {
    waiting: RefCell<Vec<Rc<RefCell<Wire>>>>,
    last: Cell<Instant>,
    round_ends: Notify,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox {
            waiting: RefCell::default(),
            last: Cell::new(Instant::now()),
            round_ends: Notify::new(),
        }
    }
}

impl Outbox {
    /// Whether what is to be written now can wait for what else this round brings. What waited already does so no
    /// longer where not.
    pub fn can_wait(&self) -> bool {
        let now = Instant::now();
        let thick = now - self.last.replace(now) < THICK;
        if !thick || self.waiting.borrow().len() >= MOST {
            self.send();
        }
        thick
    }

    /// This one has something to write.
    pub fn put(&self, wire: &Rc<RefCell<Wire>>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            // Whoever runs this task is behind all those that are ready now.
            self.round_ends.notify_one();
        }
        waiting.push(wire.clone());
    }

    fn send(&self) {
        for wire in self.waiting.take() {
            wire.borrow_mut().send();
        }
    }

    /// Sends what has waited at the end of each round.
    pub async fn run(&self) {
        loop {
            self.round_ends.notified().await;
            self.send();
        }
    }
}
