//! `OpenConnections` counts the connections to the admin process that are open, for when it may end, and for how many
//! there may be.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// `OpenConnections` counts the connections that are open.
#[derive(Default)]
pub struct OpenConnections {
    count: Cell<u32>,
    changed: Notify,
}

impl OpenConnections {
    /// Resolves when there was no connection for this long.
    pub async fn rested(&self, time: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.count.get() == 0 {
                match timeout(time, changed).await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            changed.await;
        }
    }

    pub fn enter(self: &Rc<Self>) -> OpenConnection {
        self.count.set(self.count.get() + 1);
        self.changed.notify_waiters();
        OpenConnection(self.clone())
    }

    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// Waits until there are fewer than this many.
    pub async fn has_room(&self, most: u32) {
        while self.count() >= most {
            self.changed.notified().await;
        }
    }
}

/// An `OpenConnection` counts until it is dropped.
pub struct OpenConnection(Rc<OpenConnections>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.changed.notify_waiters();
    }
}
