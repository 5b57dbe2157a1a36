//! `SetAtEnd` tells threads that there is nothing more to do, even where the test fails: a scope waits for its threads,
//! and a test whose clients ask for ever would never end.

use std::sync::atomic::{AtomicBool, Ordering};

pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
