//! A `PredecessorScoreboard` is that of the executable before this one, which laid it out in its own way. It is read
//! until the workers that write it are gone, so that their signs of life are seen and nothing that they counted is
//! lost.

use super::layout::Layout;
use super::totals::Totals;
use crate::sys::memory::MemoryView;
use std::io;
use std::os::fd::OwnedFd;

#[derive(Debug)]
pub struct PredecessorScoreboard {
    memory: MemoryView,
    layout: Layout,
    /// This much of each slot's totals was taken over, in their order.
    taken: Vec<Vec<u64>>,
}

impl PredecessorScoreboard {
    /// Maps the scoreboard in `memory`. Fails where that does not have what its layout says.
    pub fn new(memory: &OwnedFd, layout: Layout) -> io::Result<PredecessorScoreboard> {
        let wrong = || io::Error::other("the layout of the scoreboard cannot be right");
        let bytes = layout.checked_bytes().ok_or_else(wrong)?;
        let count = layout.totals.iter().map(|total| total.count).sum();
        Ok(PredecessorScoreboard {
            memory: MemoryView::of(memory, bytes)?,
            taken: vec![vec![0; count]; layout.slots + layout.others],
            layout,
        })
    }

    pub fn length(&self) -> usize {
        self.layout.slots
    }

    /// Returns the last sign of life of the worker in this slot.
    pub fn heartbeat_ms(&self, index: usize) -> u64 {
        self.number(index, self.layout.heartbeat)
    }

    /// Returns what the worker in this slot asked a guest last.
    pub fn answered_last(&self, index: usize) -> String {
        let text = self.layout.answering;
        let place = self.layout.place(index) + text.place;
        let bytes = self.memory.bytes(place, text.length);
        let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Adds what was counted since the last time to the totals of the same name.
    pub fn carry_over(&mut self, index: usize, into: &Totals) {
        let mut taken = std::mem::take(&mut self.taken[index]).into_iter();
        let mut now_taken = Vec::new();
        for total in &self.layout.totals {
            for (bucket, before) in taken.by_ref().take(total.count).enumerate() {
                let now = self.number(index, total.place + 8 * bucket);
                into.add_named(&total.name, bucket, now.saturating_sub(before));
                now_taken.push(now.max(before));
            }
        }
        self.taken[index] = now_taken;
    }

    /// Adds what stands there of no worker in particular. This is done once, as whoever counted it is gone.
    pub fn carry_over_rest(&mut self, into: &Totals) {
        let others = self.layout.slots..self.layout.slots + self.layout.others;
        others.for_each(|index| self.carry_over(index, into));
        let Some(place) = self.layout.carried else {
            return;
        };
        let mut place = place;
        for total in &self.layout.totals {
            for bucket in 0..total.count {
                into.add_named(&total.name, bucket, self.memory.number(place));
                place += 8;
            }
        }
    }

    fn number(&self, index: usize, place: usize) -> u64 {
        self.memory.number(self.layout.place(index) + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;
    use crate::scoreboard::totals::REQUESTS;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    /// Makes memory as the first executables laid it out.
    fn first(slots: usize) -> OwnedFd {
        crate::sys::memory::shared_file("test", 128 + 512 * slots).unwrap()
    }

    #[test]
    fn what_others_counted_is_carried_over_once() {
        let memory = first(2);
        let file = std::fs::File::from(memory.as_fd().try_clone_to_owned().unwrap());
        let write = |place: u64, value: u64| {
            file.write_all_at(&value.to_ne_bytes(), 128 + 512 + place)
                .unwrap();
        };
        let mut predecessor = PredecessorScoreboard::new(&memory, Layout::first(2)).unwrap();
        let scoreboard = Scoreboard::new(2).unwrap();
        let totals = scoreboard.carried();
        totals.add(REQUESTS, 0, 1);
        write(48, 7);
        predecessor.carry_over(1, totals);
        assert_eq!(scoreboard.total(REQUESTS, 0), 8);
        write(48, 9);
        write(24, 1234);
        predecessor.carry_over(1, totals);
        assert_eq!(
            (scoreboard.total(REQUESTS, 0), predecessor.heartbeat_ms(1)),
            (10, 1234)
        );
        // A worker that was taken over may write anything.
        write(48, 3);
        predecessor.carry_over(1, totals);
        write(48, u64::MAX);
        predecessor.carry_over(1, totals);
        file.write_all_at(&[b'x'; 112], 128 + 512 + 368).unwrap();
        assert_eq!(predecessor.answered_last(1), "x".repeat(112));
    }

    #[test]
    fn what_is_no_workers_is_carried_over_too() {
        let before = Scoreboard::new(2).unwrap();
        before.carried().add(REQUESTS, 0, 5);
        before.slot(1).totals().add(REQUESTS, 0, 6);
        let memory = before.descriptor().try_clone_to_owned().unwrap();
        let mut predecessor = PredecessorScoreboard::new(&memory, before.layout().clone()).unwrap();
        let scoreboard = Scoreboard::new(2).unwrap();
        predecessor.carry_over_rest(scoreboard.carried());
        predecessor.carry_over(1, scoreboard.carried());
        assert_eq!(scoreboard.total(REQUESTS, 0), 11);
    }

    #[test]
    fn memory_that_is_too_short_is_refused() {
        assert!(PredecessorScoreboard::new(&first(2), Layout::first(3)).is_err());
    }
}
