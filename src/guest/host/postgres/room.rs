//! What a result takes is counted before it is made: a number of ten bytes may be a text of a hundred thousand.

use std::cell::Cell;

/// `Room` is how many bytes a result may still take.
pub struct Room {
    left: Cell<usize>,
    is_exceeded: Cell<bool>,
}

impl Room {
    pub fn new(bytes: usize) -> Room {
        Room {
            left: Cell::new(bytes),
            is_exceeded: Cell::new(false),
        }
    }

    /// Takes this many bytes; none where this many are not left.
    pub fn take(&self, bytes: usize) -> Option<()> {
        let left = self.left.get().checked_sub(bytes);
        match left {
            Some(left) => self.left.set(left),
            None => self.is_exceeded.set(true),
        }
        left.map(|_| ())
    }

    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Says whether more was asked for than was left.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }
}
