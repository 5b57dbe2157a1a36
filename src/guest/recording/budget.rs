//! A `Budget` bounds what is kept of one request while nobody knows yet whether it fails: it is in memory as long as the
//! request runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// No more bytes are kept than these, of bodies, fields, files, values and calls together.
pub const MOST: usize = 4 << 20;

/// There are no more pieces of bodies than these, however small, and no more calls: as many take a few megabytes.
pub const MOST_PIECES: usize = 100_000;

/// Clones of a `Budget` are one.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Left>);

#[derive(Debug)]
struct Left {
    bytes: AtomicUsize,
    pieces: AtomicUsize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget(Arc::new(Left {
            bytes: AtomicUsize::new(MOST),
            pieces: AtomicUsize::new(MOST_PIECES),
        }))
    }
}

impl Budget {
    /// Takes these bytes; `false` where there are not so many left.
    pub fn take(&self, bytes: usize) -> bool {
        take(&self.0.bytes, bytes)
    }

    /// Takes these bytes for one piece of a body.
    pub fn take_piece(&self, bytes: usize) -> bool {
        take(&self.0.pieces, 1) && self.take(bytes)
    }

    /// Says whether there are so many bytes left.
    pub fn has(&self, bytes: usize) -> bool {
        self.0.bytes.load(Relaxed) >= bytes
    }
}

fn take(left: &AtomicUsize, count: usize) -> bool {
    let rest = |left: usize| left.checked_sub(count);
    left.fetch_update(Relaxed, Relaxed, rest).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_in_bytes_or_in_pieces() {
        let budget = Budget::default();
        assert!(budget.clone().take(MOST - 1) && budget.has(1) && !budget.has(2));
        assert!(!budget.take(2) && budget.take_piece(1) && !budget.take(1));
        let budget = Budget::default();
        assert!((0..MOST_PIECES).all(|_| budget.take_piece(0)));
        assert!(!budget.take_piece(0) && budget.take(1));
    }
}
