//! One worker keeps what its clients do not take of their answers, whatever they speak: it is bounded, and those that
//! stand still for longest have to go first.

use crate::request::ClientProgress;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

/// Beyond this many bytes, those answers are cut short that stand still for longest.
const MOST: usize = 64 << 20;

/// The answers that are kept, by the address of whoever knows how their clients keep up.
#[derive(Default)]
pub struct Unsent(RefCell<Answers>);

#[derive(Default)]
struct Answers {
    bytes: usize,
    each: HashMap<*const ClientProgress, (Rc<ClientProgress>, usize)>,
}

/// `HeldBytes` is an answer, or a part of one, that is kept until this is dropped.
pub struct HeldBytes {
    unsent: Rc<Unsent>,
    progress: Rc<ClientProgress>,
    bytes: usize,
}

impl Unsent {
    /// Keeps this many bytes of the one answer that its client makes progress with.
    pub fn keep(self: &Rc<Self>, progress: &Rc<ClientProgress>, bytes: usize) -> HeldBytes {
        let mut answers = self.0.borrow_mut();
        answers.add(progress, bytes);
        if answers.bytes > MOST {
            answers.evict();
        }
        HeldBytes {
            unsent: self.clone(),
            progress: progress.clone(),
            bytes,
        }
    }
}

impl HeldBytes {
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Answers {
    fn add(&mut self, progress: &Rc<ClientProgress>, bytes: usize) {
        self.bytes += bytes;
        let new = || (progress.clone(), 0);
        self.each.entry(Rc::as_ptr(progress)).or_insert_with(new).1 += bytes;
    }

    fn remove(&mut self, progress: &Rc<ClientProgress>, bytes: usize) {
        self.bytes -= bytes;
        if let Some((_, left)) = self.each.get_mut(&Rc::as_ptr(progress)) {
            *left -= bytes;
            if *left == 0 {
                self.each.remove(&Rc::as_ptr(progress));
            }
        }
    }

    /// Has as many answers cut short as it takes. Their bytes are counted until they are really gone.
    fn evict(&self) {
        let now = Instant::now();
        let all = self.each.values();
        let mut left: Vec<_> = all.filter(|(progress, _)| !progress.is_evicted()).collect();
        let mut bytes: usize = left.iter().map(|(_, bytes)| bytes).sum();
        // Who was fast for a moment has credit for a while, and stands still nevertheless.
        left.sort_by_cached_key(|(progress, _)| (progress.behind(now), progress.stands_still(now)));
        while bytes > MOST
            && let Some((progress, kept)) = left.pop()
        {
            progress.evict();
            bytes -= kept;
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        let mut answers = self.unsent.0.borrow_mut();
        answers.remove(&self.progress, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn progress() -> Rc<ClientProgress> {
        ClientProgress::new(0, &Rc::default())
    }

    #[test]
    fn what_stands_still_for_longest_goes_first_and_no_more_than_must() {
        let unsent = Rc::new(Unsent::default());
        let all: Vec<_> = (0..5).map(|_| progress()).collect();
        let mut kept = Vec::new();
        for progress in &all {
            progress.waits_for_room();
            // The clock has to move on.
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2) {}
            kept.push(unsent.keep(progress, MOST / 4));
        }
        let evicted: Vec<bool> = all.iter().map(|each| each.is_evicted()).collect();
        assert_eq!(evicted, [true, false, false, false, false]);
        kept.push(unsent.keep(&all[4], MOST / 2));
        let evicted: Vec<bool> = all.iter().map(|each| each.is_evicted()).collect();
        assert_eq!(evicted, [true, true, true, false, false]);
        drop(kept);
        let answers = unsent.0.borrow();
        assert_eq!((answers.bytes, answers.each.len()), (0, 0));
    }

    /// A client that took much at first is ahead of the least rate for as long as one that still takes it.
    #[test]
    fn credit_of_earlier_keeps_no_answer_in_the_place_of_one_that_is_taken() {
        let unsent = Rc::new(Unsent::default());
        let all: Vec<_> = (0..40)
            .map(|_| ClientProgress::new(1000, &Rc::default()))
            .collect();
        let mut kept = Vec::new();
        for progress in &all {
            progress.took(1 << 20);
            progress.waits_for_room();
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2) {}
            kept.push(unsent.keep(progress, MOST / 20));
        }
        let evicted: Vec<bool> = all.iter().map(|each| each.is_evicted()).collect();
        let expected: Vec<bool> = (0..40).map(|number| number < 20).collect();
        assert_eq!(evicted, expected);
    }
}
