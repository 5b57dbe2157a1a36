//! What the processes know of each other, in memory that all of them share: a table that the supervisor alone can
//! write, and one slot a worker, on pages of its own, that this worker alone can write. Everyone reads. Totals survive
//! the worker that made them.

mod entry;
mod foreign;
mod guests;
mod layout;
mod ring;
mod slot;
mod table;
mod text;
pub mod totals;

pub use entry::{Entry, Phase};
pub use foreign::Foreign;
pub use guests::{Dropped, Made, Outbound};
pub use layout::Layout;
#[cfg(test)]
pub use ring::LONGEST as LONGEST_RECORD;
pub use slot::{Ended, Slot};
pub use table::{ServerState, Table, Versions, WorkerEnd, WorkerNumbers};
pub use totals::{GuestFailure, Protocol, Shed};

use crate::sys::memory::{self, Access};
use ring::Next;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Acquire, Release};
use totals::Family;

/// The table and all slots, mapped once before the first fork.
#[derive(Debug)]
pub struct Scoreboard {
    memory: NonNull<u8>,
    layout: Layout,
    /// Whoever has the first can map all of it writable, whoever has the second cannot.
    writable: OwnedFd,
    readable: OwnedFd,
}

impl Scoreboard {
    /// A scoreboard of `length` free slots.
    pub fn new(length: usize) -> io::Result<Scoreboard> {
        let layout = Layout::own(length);
        let memory = memory::shared_file("wasmserve scoreboard", layout.bytes())?;
        Scoreboard::map(memory, layout)
    }

    /// The scoreboard behind `memory`, as another executable made it. An error where that one had another idea of it.
    pub fn adopt(memory: OwnedFd, layout: &Layout) -> io::Result<Scoreboard> {
        if *layout != Layout::own(layout.slots) {
            return Err(io::Error::other("the scoreboard has another layout"));
        }
        if memory::length(&memory)? < layout.bytes() as u64 {
            return Err(io::Error::other("the scoreboard is too short"));
        }
        Scoreboard::map(memory, layout.clone())
    }

    fn map(writable: OwnedFd, layout: Layout) -> io::Result<Scoreboard> {
        Ok(Scoreboard {
            memory: memory::map(&writable, layout.bytes(), Access::ReadWrite)?,
            readable: memory::reopened_to_read(&writable)?,
            writable,
            layout,
        })
    }

    /// How many slots there are.
    pub fn length(&self) -> usize {
        self.layout.slots
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the supervisor says about the server.
    pub fn table(&self) -> &Table {
        // SAFETY: the mapping begins with a table, is aligned to a page, is never unmapped, and was zeroed at first;
        // a table is all atomics, so others may write it.
        unsafe { self.memory.cast().as_ref() }
    }

    /// What the supervisor says about the worker that has this slot.
    pub fn entry(&self, index: usize) -> &Entry {
        assert!(index < self.length());
        // SAFETY: after the table the mapping has room for an entry for each slot, aligned as the table is. The rest
        // is as above.
        unsafe {
            self.memory
                .cast::<Table>()
                .add(1)
                .cast::<Entry>()
                .add(index)
                .as_ref()
        }
    }

    /// What the worker that has this slot says about itself.
    pub fn slot(&self, index: usize) -> &Slot {
        assert!(index < self.length());
        // SAFETY: the mapping has whole pages for each slot, where a slot is all atomics. The rest is as above.
        unsafe { self.memory.add(self.layout.place(index)).cast().as_ref() }
    }

    /// What the exporter says about itself; its ring says how much it has read of each worker's.
    pub fn exporter(&self) -> &Slot {
        // SAFETY: as above, for the slot behind the last one of a worker.
        unsafe {
            self.memory
                .add(self.layout.place(self.length()))
                .cast()
                .as_ref()
        }
    }

    /// Takes the next record that the worker in this slot has left for the exporter; empty where it left none that
    /// can be understood. False where there is nothing.
    pub fn take_record(&self, index: usize, record: &mut Vec<u8>) -> bool {
        let position = self.exporter().ring().word(index as u64);
        match self.slot(index).ring().read(position.load(Acquire), record) {
            Next::Nothing => false,
            Next::Record(next) | Next::Garbage(next) => {
                position.store(next, Release);
                true
            }
        }
    }

    /// Makes a slot a new worker's.
    pub fn begin(&self, index: usize, generation: u32, now_ms: u64) {
        let slot = self.slot(index);
        let (requests, failures) = (slot.requests(), slot.guest_failures());
        self.entry(index)
            .begin(generation, now_ms, requests, failures);
        slot.begin(now_ms);
    }

    /// The server is about to stop: nobody should send it more connections.
    pub fn withdraw(&self) {
        self.table().withdraw();
    }

    /// Where the supervisor counts what is no worker's of this executable.
    pub fn carried(&self) -> &totals::Totals {
        self.table().totals()
    }

    /// A counter of all workers that there ever were, together.
    pub fn total(&self, family: Family, index: usize) -> u64 {
        let workers = (0..self.length()).map(|slot| self.slot(slot));
        let slots = workers.chain([self.exporter()]);
        let values = slots.map(|slot| slot.totals().value(family, index));
        values.fold(self.table().value(family, index), u64::wrapping_add)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.writable.as_fd()
    }

    /// From here on this process, a child of the supervisor's, can write nothing of it. For good, once it has closed
    /// the descriptors that it has of it: memory that was mapped from one that can only be read cannot be made
    /// writable (mprotect(2), EACCES).
    pub fn give_up(&self) -> io::Result<()> {
        let bytes = self.layout.bytes();
        // SAFETY: these are the same bytes as before at the same place, and never unmapped.
        unsafe { memory::map_over(self.memory, bytes, &self.readable, 0, Access::Read) }
    }

    /// The same but for the slot of the exporter, which is this process.
    pub fn keep_exporter(&self) -> io::Result<()> {
        self.keep_slot(self.length(), self.descriptor())
    }

    /// The same but for one slot, which is this worker's, and which `writable` is for.
    pub fn keep(&self, index: usize, writable: BorrowedFd<'_>) -> io::Result<()> {
        assert!(index < self.length());
        self.keep_slot(index, writable)
    }

    fn keep_slot(&self, index: usize, writable: BorrowedFd<'_>) -> io::Result<()> {
        let (place, bytes) = (self.layout.place(index), self.layout.stride());
        // SAFETY: the same.
        unsafe {
            let memory = self.memory.add(place);
            memory::map_over(memory, bytes, &writable, place, Access::ReadWrite)
        }
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

    /// How many workers there should be; none before that is known.
    pub fn workers(&self) -> Option<NonZeroUsize> {
        let wanted = self.scoreboard.table().workers().wanted;
        NonZeroUsize::new(wanted as usize)
    }

    /// Which of the slots it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Leaves a record for the exporter. Where that has not read enough for a further one, it is counted and lost.
    pub fn record(&self, record: &[u8]) {
        let read = self.scoreboard.exporter().ring().word(self.index as u64);
        if !self.ring().write(read.load(Acquire), record) {
            self.totals().add(totals::SPANS_DROPPED, 0, 1);
        }
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
        scoreboard.entry(1).enter(Phase::Draining);
        scoreboard.withdraw();
        let descriptor = || scoreboard.descriptor().try_clone_to_owned().unwrap();
        let adopted = Scoreboard::adopt(descriptor(), scoreboard.layout()).unwrap();
        assert_eq!(adopted.slot(2).connections(), 1);
        assert_eq!(adopted.entry(1).phase(), Phase::Draining);
        assert!(adopted.table().is_withdrawn());
        assert!(Scoreboard::adopt(descriptor(), &Layout::own(4000)).is_err());
        assert!(Scoreboard::adopt(descriptor(), &Layout::first(3)).is_err());
    }

    #[test]
    fn slots_stand_on_pages_of_their_own() {
        let scoreboard = Scoreboard::new(3).unwrap();
        let page = memory::page_size();
        let places = (0..3).map(|index| std::ptr::from_ref(scoreboard.slot(index)).addr());
        let pages: Vec<usize> = places.map(|place| place / page).collect();
        let last = std::ptr::from_ref(scoreboard.entry(2)).addr() + size_of::<Entry>() - 1;
        assert!(last / page < pages[0] && pages[0] < pages[1] && pages[1] < pages[2]);
    }
}
