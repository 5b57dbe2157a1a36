//! `Siblings` are what a worker sees of the others in the scoreboard: who takes connections, and how many each has.

use super::balance::{self, Load};
use crate::scoreboard::{Scoreboard, WorkerPhase};
use crate::sys::{clock, cpus};
use std::rc::Rc;

/// A sibling that has been silent for this long is not expected to take anything.
const SILENT_MS: u64 = 2500;

#[derive(Clone)]
pub struct Siblings {
    scoreboard: Rc<Scoreboard>,
    /// This worker has the slot with this index.
    slot: usize,
    processors: usize,
}

impl Siblings {
    /// Counts the processors, which the sandbox hides.
    pub fn new(scoreboard: Rc<Scoreboard>, slot: usize) -> Siblings {
        let processors = cpus::available();
        Siblings {
            scoreboard,
            slot,
            processors,
        }
    }

    /// Says whether `is` holds of a sibling that takes connections, given the loads of both.
    pub fn any(&self, are_short: bool, is: impl Fn(Load, Load) -> bool) -> bool {
        let mine = self.load(self.slot);
        let most = match are_short && !self.has_canary() {
            true => self.processors,
            false => usize::MAX,
        };
        let mut taking = self.taking().take(most);
        taking.any(|index| index != self.slot && is(mine, self.load(index)))
    }

    /// Says whether this worker leaves short connections to those that come before it. A canary has its share of all
    /// connections.
    pub fn are_enough(&self) -> bool {
        let before = self.taking().take_while(|index| *index < self.slot);
        balance::is_in_reserve(before.count(), self.processors) && !self.has_canary()
    }

    fn has_canary(&self) -> bool {
        self.scoreboard.table().canary().is_some()
    }

    /// Says how many connections all workers have taken so far.
    pub fn taken(&self) -> u64 {
        let slots = (0..self.scoreboard.length()).map(|index| self.scoreboard.slot(index));
        slots.fold(0, |sum, slot| sum.wrapping_add(slot.connections_total()))
    }

    /// Lists the slots of workers that take connections, this one's too.
    fn taking(&self) -> impl Iterator<Item = usize> {
        let now = clock::now_ms();
        (0..self.scoreboard.length()).filter(move |index| {
            let heard = self.scoreboard.slot(*index).heartbeat_ms();
            self.scoreboard.entry(*index).phase() == WorkerPhase::Ready
                && now.abs_diff(heard) < SILENT_MS
        })
    }

    fn load(&self, index: usize) -> Load {
        let slot = self.scoreboard.slot(index);
        Load {
            connections: slot.connections(),
            in_flight: slot.in_flight(),
        }
    }
}
