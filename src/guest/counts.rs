//! `Counts` has what happens to instances, and to the requests that guests send, counted by whoever it happens to. The
//! worker's loop takes it over into its slot of the scoreboard now and then, since nothing else may write there.

use crate::scoreboard::totals::{
    Family, INSTANCES_DROPPED, INSTANCES_MADE, INSTANCES_RESTORED, INSTANCES_REUSED, OUTBOUND,
};
use crate::scoreboard::{DropReason, MadeReason, Outbound, Slot};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// This many families are counted here: a number, since a length that is computed from them has the compiler go in
/// circles where it asks which types may be sent to other threads.
const FAMILIES: usize = 5;

/// These families are counted here, each at its place.
const COUNTED: [Family; FAMILIES] = [
    INSTANCES_MADE,
    INSTANCES_RESTORED,
    INSTANCES_REUSED,
    INSTANCES_DROPPED,
    OUTBOUND,
];

const MADE: usize = 0;
const RESTORED: usize = 1;
const REUSED: usize = 2;
const DROPPED: usize = 3;
const SENT: usize = 4;

/// There are no more values of a label than this.
const MOST: usize = 8;

/// `Counts` belong to one worker. The memory's thread counts too, so they are atomic.
#[derive(Debug, Default)]
pub struct Counts {
    since: [[AtomicU64; MOST]; FAMILIES],
    alive: AtomicU64,
    pooled: AtomicU64,
}

impl Counts {
    fn add(&self, place: usize, index: usize) {
        debug_assert!(index < COUNTED[place].count);
        self.since[place][index].fetch_add(1, Relaxed);
    }

    /// Counts an instance that was made, and lives as long as what this returns.
    pub fn made(self: &Arc<Self>, why: MadeReason) -> Life {
        self.add(MADE, why as usize);
        self.alive.fetch_add(1, Relaxed);
        Life {
            counts: self.clone(),
            ends: DropReason::Abandoned,
        }
    }

    /// Counts an instance that was restored for a further request.
    pub fn restored(&self) {
        self.add(RESTORED, 0);
    }

    /// Counts an instance that answers a further request as the last one left it.
    pub fn reused(&self) {
        self.add(REUSED, 0);
    }

    /// Notes how many instances wait in the pool.
    pub fn pooled(&self, count: usize) {
        self.pooled.store(count as u64, Relaxed);
    }

    /// Counts a request that a guest sends.
    pub fn sends(self: &Arc<Self>) -> Sending {
        Sending {
            counts: self.clone(),
            outcome: Outbound::Cancelled,
        }
    }

    /// Takes what was counted since the last time over into the slot of this worker.
    pub fn publish(&self, slot: &Slot) {
        for (family, cells) in COUNTED.into_iter().zip(&self.since) {
            for (index, cell) in cells.iter().enumerate().take(family.count) {
                match cell.swap(0, Relaxed) {
                    0 => {}
                    more => slot.totals().add(family, index, more),
                }
            }
        }
        slot.has_instances(self.alive.load(Relaxed), self.pooled.load(Relaxed));
    }
}

/// A `Life` is that of one instance, and knows why it would end now.
#[derive(Debug)]
pub struct Life {
    counts: Arc<Counts>,
    ends: DropReason,
}

impl Life {
    /// Notes why the instance is gone, should it be dropped from here on.
    pub fn would_end(&mut self, why: DropReason) {
        self.ends = why;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.counts.add(DROPPED, self.ends as usize);
        self.counts.alive.fetch_sub(1, Relaxed);
    }
}

/// `Sending` is a request of a guest that is under way.
#[derive(Debug)]
pub struct Sending {
    counts: Arc<Counts>,
    outcome: Outbound,
}

impl Sending {
    pub fn ended(mut self, outcome: Outbound) {
        self.outcome = outcome;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.counts.add(SENT, self.outcome as usize);
    }
}

const _: () = {
    let mut place = 0;
    while place < COUNTED.len() {
        assert!(COUNTED[place].count <= MOST);
        place += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    #[test]
    fn what_is_counted_is_taken_over_once() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (slot, counts) = (scoreboard.slot(0), Arc::new(Counts::default()));
        let mut first = counts.made(MadeReason::PoolEmpty);
        let second = counts.made(MadeReason::EachRequest);
        first.would_end(DropReason::Failed);
        drop(first);
        counts.sends().ended(Outbound::Denied);
        drop(counts.sends());
        counts.pooled(1);
        for _ in 0..2 {
            counts.publish(slot);
            for (family, index, count) in [
                (INSTANCES_MADE, MadeReason::PoolEmpty as usize, 1),
                (INSTANCES_MADE, MadeReason::EachRequest as usize, 1),
                (INSTANCES_DROPPED, DropReason::Failed as usize, 1),
                (INSTANCES_DROPPED, DropReason::Abandoned as usize, 0),
                (OUTBOUND, Outbound::Denied as usize, 1),
                (OUTBOUND, Outbound::Cancelled as usize, 1),
            ] {
                assert_eq!(slot.totals().value(family, index), count, "{family:?}");
            }
            assert_eq!(slot.instances(), (1, 1));
        }
        drop(second);
        counts.publish(slot);
        assert_eq!(slot.instances(), (0, 1));
    }
}
