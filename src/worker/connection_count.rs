//! `ConnectionCount` counts the connections that are open now, for the drain, for the limit and for the scoreboard.

use super::balance::Lifetimes;
use crate::scoreboard::SlotRef;
use crate::sys::clock;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

pub struct ConnectionCount {
    count: Cell<u32>,
    lifetimes: RefCell<Lifetimes>,
    closed: Notify,
    /// Those who take connections are told when one is closed.
    freed: Notify,
    slot: SlotRef,
}

impl ConnectionCount {
    pub fn new(slot: SlotRef) -> ConnectionCount {
        ConnectionCount {
            count: Cell::new(0),
            lifetimes: RefCell::default(),
            closed: Notify::new(),
            freed: Notify::new(),
            slot,
        }
    }

    /// Counts a connection until the guard is dropped.
    pub fn enter(self: &Rc<Self>) -> Entered {
        self.count.set(self.count.get() + 1);
        self.lifetimes.borrow_mut().opened();
        self.slot.connection_opened();
        Entered {
            open: self.clone(),
            since_ms: clock::now_ms(),
        }
    }

    pub fn is_full(&self, most: u32) -> bool {
        self.count.get() >= most
    }

    /// Says whether the next connection is expected to be a short one.
    pub fn are_short(&self) -> bool {
        self.lifetimes.borrow().are_short()
    }

    /// Resolves when there are fewer than `most`.
    pub async fn room(&self, most: u32) {
        while self.is_full(most) {
            self.closed.notified().await;
        }
    }

    /// Resolves when a connection ends that is open now.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    pub async fn none(&self) {
        while self.count.get() > 0 {
            self.closed.notified().await;
        }
    }
}

pub struct Entered {
    open: Rc<ConnectionCount>,
    since_ms: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let open = &self.open;
        let lifetime = clock::now_ms().saturating_sub(self.since_ms);
        open.count.set(open.count.get() - 1);
        open.lifetimes
            .borrow_mut()
            .closed(Duration::from_millis(lifetime));
        open.slot.connection_closed();
        open.closed.notify_one();
        open.freed.notify_waiters();
    }
}
