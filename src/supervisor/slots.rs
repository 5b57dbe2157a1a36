//! This file says which slots of the scoreboard are taken: the supervisor's own table, which nobody else can write.

use crate::scoreboard::{Answers, Scoreboard, WorkerPhase};
use std::cell::RefCell;
use std::rc::Rc;

/// `Slots` are all slots.
pub struct Slots {
    scoreboard: Rc<Scoreboard>,
    taken: Rc<RefCell<Vec<bool>>>,
}

/// A `ReservedSlot` belongs to one process, or to what may still become one. It is free again when this is dropped.
pub struct ReservedSlot {
    index: usize,
    /// Others that had it before have answered this.
    before: Box<Answers>,
    scoreboard: Rc<Scoreboard>,
    taken: Rc<RefCell<Vec<bool>>>,
}

impl Slots {
    pub fn new(scoreboard: Rc<Scoreboard>) -> Slots {
        let taken = vec![false; scoreboard.length()];
        Slots {
            scoreboard,
            taken: Rc::new(RefCell::new(taken)),
        }
    }

    /// Reserves a free slot; none where all are taken.
    pub fn reserve(&self) -> Option<ReservedSlot> {
        let free = self.taken.borrow().iter().position(|taken| !taken)?;
        self.take(free)
    }

    /// This slot, unless it is taken or there is none of this number.
    pub fn take(&self, index: usize) -> Option<ReservedSlot> {
        let mut taken = self.taken.borrow_mut();
        let slot = taken.get_mut(index).filter(|taken| !**taken)?;
        *slot = true;
        let totals = self.scoreboard.slot(index).totals();
        Some(ReservedSlot {
            index,
            before: Box::new(Answers::of(totals)),
            scoreboard: self.scoreboard.clone(),
            taken: self.taken.clone(),
        })
    }
}

impl ReservedSlot {
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns what whoever has it has answered.
    pub fn answers(&self) -> Answers {
        let totals = self.scoreboard.slot(self.index).totals();
        Answers::of(totals).since(&self.before)
    }
}

impl Drop for ReservedSlot {
    fn drop(&mut self) {
        self.scoreboard.entry(self.index).enter(WorkerPhase::Free);
        self.taken.borrow_mut()[self.index] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_have_the_same_slot_whatever_the_scoreboard_says() {
        let slots = Slots::new(Rc::new(Scoreboard::new(2).unwrap()));
        let first = slots.reserve().unwrap();
        let second = slots.reserve().unwrap();
        assert_ne!(first.index(), second.index());
        // What is in shared memory is not asked.
        slots
            .scoreboard
            .entry(first.index())
            .enter(WorkerPhase::Free);
        assert!(slots.reserve().is_none() && slots.take(1).is_none());
        drop(first);
        assert_eq!(slots.reserve().unwrap().index(), 0);
        assert!(slots.take(2).is_none());
    }
}
