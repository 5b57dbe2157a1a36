//! What the processes know of each other: one slot of atomics a worker, in memory that all of them
//! share. Each worker writes its own slot, everyone reads. Totals survive the worker that made them.

mod slot;

pub use slot::{Phase, Slot};

use crate::sys::memory;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// What comes before the slots: enough to refuse memory that another executable laid out otherwise.
#[derive(Debug)]
#[repr(C, align(128))]
struct Header {
    layout: AtomicU32,
    slot_size: AtomicU32,
    slots: AtomicU32,
    /// Whether the server is about to stop taking connections.
    withdrawn: AtomicBool,
}

/// The number of the layout of `Header` and `Slot`; to be raised whenever either changes.
const LAYOUT: u32 = 1;

/// The header and all slots, mapped once before the first fork.
#[derive(Debug)]
pub struct Scoreboard {
    memory: NonNull<Header>,
    length: usize,
    descriptor: OwnedFd,
}

impl Scoreboard {
    /// A scoreboard of `length` free slots.
    pub fn new(length: usize) -> io::Result<Scoreboard> {
        let (memory, descriptor) = memory::shared("wasmserve scoreboard", Self::bytes(length))?;
        let memory = memory.cast();
        let scoreboard = Scoreboard {
            memory,
            length,
            descriptor,
        };
        let (layout, size, slots) = Self::shape(length);
        let header = scoreboard.header();
        header.layout.store(layout, Relaxed);
        header.slot_size.store(size, Relaxed);
        header.slots.store(slots, Relaxed);
        Ok(scoreboard)
    }

    /// The scoreboard behind `descriptor`, as another executable made it. An error where that one had
    /// another idea of it.
    pub fn adopt(descriptor: OwnedFd, length: usize) -> io::Result<Scoreboard> {
        let bytes = Self::bytes(length);
        let size = std::fs::metadata(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))?.len();
        if size < bytes.get() as u64 {
            return Err(io::Error::other("the scoreboard is too short"));
        }
        let memory = memory::map_shared(&descriptor, bytes)?.cast();
        let scoreboard = Scoreboard {
            memory,
            length,
            descriptor,
        };
        let header = scoreboard.header();
        let (layout, size, slots) = (&header.layout, &header.slot_size, &header.slots);
        let found = (
            layout.load(Relaxed),
            size.load(Relaxed),
            slots.load(Relaxed),
        );
        if found != Self::shape(length) {
            return Err(io::Error::other("the scoreboard has another layout"));
        }
        Ok(scoreboard)
    }

    fn shape(length: usize) -> (u32, u32, u32) {
        (LAYOUT, size_of::<Slot>() as u32, length as u32)
    }

    fn bytes(length: usize) -> NonZeroUsize {
        let bytes = size_of::<Header>() + length * size_of::<Slot>();
        NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN)
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping begins with a header, is aligned to a page, is never unmapped, and was
        // zeroed at first; a header is all atomics, so others may write it.
        unsafe { self.memory.as_ref() }
    }

    pub fn slots(&self) -> &[Slot] {
        // SAFETY: after the header the mapping has room for `length` slots, both aligned alike, is
        // never unmapped, and began zeroed, which is a free slot; a slot is all atomics, so others
        // may write it.
        unsafe { std::slice::from_raw_parts(self.memory.add(1).as_ptr().cast(), self.length) }
    }

    pub fn slot(&self, index: usize) -> &Slot {
        &self.slots()[index]
    }

    /// The server is about to stop: nobody should send it more connections.
    pub fn withdraw(&self) {
        self.header().withdrawn.store(true, Relaxed);
    }

    /// Whether load balancers should look elsewhere.
    #[allow(dead_code, reason = "the admin role tells readiness from this")]
    pub fn is_withdrawn(&self) -> bool {
        self.header().withdrawn.load(Relaxed)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// One worker's own slot.
#[derive(Clone, Debug)]
pub struct SlotRef {
    scoreboard: Rc<Scoreboard>,
    index: usize,
}

impl SlotRef {
    pub fn new(scoreboard: Rc<Scoreboard>, index: usize) -> SlotRef {
        SlotRef { scoreboard, index }
    }

    /// Which of the slots it is.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Deref for SlotRef {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.scoreboard.slot(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_executable_finds_the_scoreboard_as_it_was_left() {
        let scoreboard = Scoreboard::new(3).unwrap();
        scoreboard.slot(2).connection_opened();
        scoreboard.withdraw();
        let descriptor = || scoreboard.descriptor().try_clone_to_owned().unwrap();
        let adopted = Scoreboard::adopt(descriptor(), 3).unwrap();
        assert_eq!(adopted.slot(2).connections(), 1);
        assert!(adopted.is_withdrawn());
        assert!(Scoreboard::adopt(descriptor(), 2).is_err());
        assert!(Scoreboard::adopt(descriptor(), 4000).is_err());
    }
}
