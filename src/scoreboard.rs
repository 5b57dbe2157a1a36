//! The scoreboard is what the processes know of each other, in memory that all of them share: a table that the
//! supervisor alone can write, and one slot for each worker, on pages of its own, that this worker alone can write.
//! Every process reads all of it. Totals survive the worker that made them.
//!
//! It is our own, and not a library's: processes of different executables share it, and those who write to it may not
//! be believed.

mod answers;
mod canary;
mod entry;
mod guests;
mod jobs;
mod layout;
mod predecessor;
mod ring;
mod shared_text;
mod slot;
mod table;
pub mod totals;

pub use answers::{Answers, STEPS};
pub use canary::{CanaryFigures, VersionFigures};
pub use entry::{Entry, WorkerPhase};
pub use guests::{DropReason, MadeReason, Outbound};
pub use jobs::JobFigures;
pub use layout::Layout;
pub use predecessor::PredecessorScoreboard;
#[cfg(test)]
pub use ring::LONGEST as LONGEST_RECORD;
pub use slot::{Ended, Slot};
pub use table::{ServerState, Table, Versions, WorkerEnd, WorkerNumbers};
pub use totals::{GuestFailure, JobOutcome, Protocol, Shed};

use crate::log::recent::{self, Recent};
use crate::sys::memory::{self, Access};
use ring::RecordRead;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;
use totals::Family;

/// A `Scoreboard` is the table and all slots, mapped once before the first fork.
#[derive(Debug)]
pub struct Scoreboard {
    memory: NonNull<u8>,
    layout: Layout,
    /// A process that has this descriptor can map all of the scoreboard so that it can write; one that has only the
    /// other cannot.
    writable: OwnedFd,
    readable: OwnedFd,
}

impl Scoreboard {
    /// Makes a scoreboard of `length` free slots.
    pub fn new(length: usize) -> io::Result<Scoreboard> {
        let layout = Layout::own(length);
        Scoreboard::map(Scoreboard::blank(&layout)?, layout)
    }

    /// Makes the memory of a scoreboard with free slots, which another process is going to map.
    pub fn blank(layout: &Layout) -> io::Result<OwnedFd> {
        memory::shared_file("wasmserve scoreboard", layout.bytes())
    }

    /// Maps the scoreboard that another executable made in `memory`. Fails where that one had another layout.
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

    /// Returns how many slots there are.
    pub fn length(&self) -> usize {
        self.layout.slots
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns what the supervisor says about the server.
    pub fn table(&self) -> &Table {
        // SAFETY: the mapping begins with a table, is aligned to a page, is never unmapped, and was zeroed at first;
        // a table is all atomics, so others may write it.
        unsafe { self.memory.cast().as_ref() }
    }

    /// Returns what the supervisor says about the worker that has this slot.
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

    /// Returns what the worker that has this slot says about itself.
    pub fn slot(&self, index: usize) -> &Slot {
        assert!(index < self.length());
        // SAFETY: the mapping has whole pages for each slot, where a slot is all atomics. The rest is as above.
        unsafe { self.memory.add(self.layout.place(index)).cast().as_ref() }
    }

    /// Returns what the exporter says about itself; its ring says how much it has read of each worker's.
    pub fn exporter(&self) -> &Slot {
        // SAFETY: as above, for the slot behind the last one of a worker.
        unsafe {
            self.memory
                .add(self.layout.place(self.length()))
                .cast()
                .as_ref()
        }
    }

    /// Returns the last lines that the process which has this slot has logged.
    pub fn recent(&self, index: usize) -> &'static Recent {
        assert!(index <= self.layout.supervisor());
        // SAFETY: behind the slots the mapping has whole pages for each ring of lines, which is all atomics. The
        // mapping stays for the life of the process. A worker, which sees its own ring alone, asks for no other.
        unsafe { self.memory.add(self.layout.lines(index)).cast().as_ref() }
    }

    /// Returns the last lines of the supervisor and of those of its children that have no slot.
    pub fn recent_of_supervisor(&self) -> &'static Recent {
        self.recent(self.layout.supervisor())
    }

    /// Takes the next record that the worker in this slot has left for the exporter, and says whether there was one. A
    /// record that cannot be understood is left empty.
    pub fn take_record(&self, index: usize, record: &mut Vec<u8>) -> bool {
        let position = self.exporter().ring().word(index as u64);
        match self.slot(index).ring().read(position.load(Acquire), record) {
            RecordRead::Nothing => false,
            RecordRead::Record(next) | RecordRead::Garbage(next) => {
                position.store(next, Release);
                true
            }
        }
    }

    /// Gives a slot to a new worker.
    pub fn begin(&self, index: usize, generation: u32, now_ms: u64) {
        let slot = self.slot(index);
        let (requests, failures) = (slot.requests(), slot.guest_failures());
        self.entry(index)
            .begin(generation, now_ms, requests, failures);
        slot.begin(now_ms);
    }

    /// Notes that the server is about to stop, so that nobody sends it more connections.
    pub fn withdraw(&self) {
        self.table().withdraw();
    }

    /// Returns the counters of what no worker of this executable has counted.
    pub fn carried(&self) -> &totals::Totals {
        self.table().totals()
    }

    /// Adds up a counter of all workers that there ever were.
    pub fn total(&self, family: Family, index: usize) -> u64 {
        let workers = (0..self.length()).map(|slot| self.slot(slot));
        let slots = workers.chain([self.exporter()]);
        let values = slots.map(|slot| slot.totals().value(family, index));
        values.fold(self.table().value(family, index), u64::wrapping_add)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.writable.as_fd()
    }

    /// Takes the right to write from this process, which is a child of the supervisor's. That is for good, once the
    /// process has closed its descriptors of the memory: what was mapped from a descriptor that can only be read
    /// cannot be made writable (mprotect(2), EACCES).
    pub fn give_up(&self) -> io::Result<()> {
        recent::keep_nothing();
        let bytes = self.layout.bytes();
        // SAFETY: these are the same bytes as before at the same place, and never unmapped.
        unsafe { memory::map_over(self.memory, bytes, &self.readable, 0, Access::Read) }
    }

    /// Takes the right to write from this process, which is the exporter, but for the exporter's slot.
    pub fn keep_exporter(&self) -> io::Result<()> {
        self.keep_slot(self.length(), self.descriptor())
    }

    /// Takes the right to write from this process, which is a worker, but for its own slot, which `writable` is for.
    /// What others log it cannot even read: addresses of their clients, and what these ask for.
    pub fn keep(&self, index: usize, writable: BorrowedFd<'_>) -> io::Result<()> {
        assert!(index < self.length());
        let lines = self.layout.lines(0);
        // SAFETY: nobody here has a reference to a ring of lines: the process has given up its own.
        unsafe { memory::hide(self.memory.add(lines), self.layout.bytes() - lines) }?;
        self.keep_slot(index, writable)
    }

    fn keep_slot(&self, index: usize, writable: BorrowedFd<'_>) -> io::Result<()> {
        let (place, bytes) = (self.layout.place(index), self.layout.stride());
        let (lines, lines_bytes) = (self.layout.lines(index), Layout::lines_stride());
        for (place, bytes) in [(place, bytes), (lines, lines_bytes)] {
            // SAFETY: the same.
            unsafe {
                let memory = self.memory.add(place);
                memory::map_over(memory, bytes, &writable, place, Access::ReadWrite)?;
            }
        }
        recent::keep_in(self.recent(index));
        Ok(())
    }
}

/// A `SlotRef` is a worker's way to its own slot.
#[derive(Clone, Debug)]
pub struct SlotRef {
    scoreboard: Rc<Scoreboard>,
    index: usize,
}

impl SlotRef {
    pub fn new(scoreboard: Rc<Scoreboard>, index: usize) -> SlotRef {
        SlotRef { scoreboard, index }
    }

    /// Returns how many workers there should be, those of a canary included; none before that is known.
    pub fn workers(&self) -> Option<NonZeroUsize> {
        let table = self.scoreboard.table();
        let canary = table.canary().map_or(0, |canary| canary.workers);
        let all = table.workers().wanted.saturating_add(canary);
        NonZeroUsize::new(all as usize)
    }

    /// Says how long the canary is to run that runs now; none where none does.
    pub fn canary_time(&self) -> Option<Duration> {
        self.scoreboard.table().canary_time()
    }

    /// Returns the number of the profile that was asked for last, and the request.
    pub fn profile(&self) -> (u32, u32) {
        self.scoreboard.table().profile()
    }

    /// Returns which of the slots it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Leaves a record for the exporter. A record for which the exporter has not made room is counted and lost.
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
        scoreboard.entry(1).enter(WorkerPhase::Draining);
        scoreboard.withdraw();
        let descriptor = || scoreboard.descriptor().try_clone_to_owned().unwrap();
        let adopted = Scoreboard::adopt(descriptor(), scoreboard.layout()).unwrap();
        assert_eq!(adopted.slot(2).connections(), 1);
        assert_eq!(adopted.entry(1).phase(), WorkerPhase::Draining);
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
