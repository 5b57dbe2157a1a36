//! `UnchangedPages` decides which pages are given back to the kernel, as it is long since anything changed in them. It
//! does not know what is in them.
//!
//! A page that was once written to is found again at each reset, and is put back whether this request has written to
//! it or not: a hundred nanoseconds or more for each. After one request that has written to thousands, all that come
//! after it would pay. Writing to a page that was given back costs a fault and the copy that the kernel makes, which
//! is five to ten times as much, and the next reset has to ask the kernel again for what was written to. So a page is
//! given back after some more resets than that in which nothing has changed, and only together with many others.
//!
//! Nothing changes in some pages although each request writes to them: a reference is counted up and down. They are
//! back as soon as they were given back, and each time that happens to a page it stays for twice as long.

use std::num::NonZero;

/// The pages are compared at one reset of this many: where one has changed, comparing is more than copying alone.
const EVERY: u16 = 4;

/// They are compared less often after so many comparisons of which nothing came, until there are more of them or fewer.
const IN_VAIN: u8 = 8;
const SELDOM: u16 = 64;

/// A page has been the same at this many comparisons, one after another, when it is given back for the first time.
const FIRST: u8 = 4;

/// A page that is back within this many resets was given back too soon.
const SOON: u16 = 64;

/// Fewer pages are not given back: it would cost more than it spares.
const TOGETHER: usize = 64;

#[derive(Default)]
pub struct UnchangedPages {
    /// So many there were. It begins anew after the last number, and a page may be taken for one that is back soon then.
    resets: u16,
    /// Each page by its number: a memory has many thousands, so they are small.
    pages: Vec<Page>,
    idle: Vec<usize>,
    /// So many were to be put back at the last reset.
    count: usize,
    /// So many comparisons there were since that changed.
    in_vain: u8,
}

#[derive(Clone, Copy)]
struct Page {
    /// It was the same at this many comparisons, one after another.
    same: u8,
    /// It is given back after this many.
    patience: u8,
    /// It was given back at about this reset, and was not seen since.
    given_back: Option<NonZero<u16>>,
}

impl UnchangedPages {
    /// Counts a reset, and says whether the pages are to be compared at it, of which there are this many.
    pub fn is_due(&mut self, pages: usize) -> bool {
        self.resets = self.resets.wrapping_add(1);
        if self.count != pages {
            (self.count, self.in_vain) = (pages, 0);
        }
        let every = if self.in_vain < IN_VAIN {
            EVERY
        } else {
            SELDOM
        };
        self.resets.is_multiple_of(every) && pages >= TOGETHER
    }

    /// Notes a comparison of a page.
    pub fn note(&mut self, number: usize, is_same: bool) {
        if number >= self.pages.len() {
            let page = Page {
                same: 0,
                patience: FIRST,
                given_back: None,
            };
            self.pages.resize(number + 1, page);
        }
        let page = &mut self.pages[number];
        if let Some(since) = page.given_back.take() {
            page.same = 0;
            page.patience = match self.resets.wrapping_sub(since.get()) {
                ..=SOON => page.patience.saturating_mul(2),
                _ => FIRST,
            };
        }
        page.same = if is_same {
            page.same.saturating_add(1)
        } else {
            0
        };
        if page.same >= page.patience {
            self.idle.push(number);
        }
    }

    /// Takes the pages that are to be given back, now that all of those that were written to have been compared.
    pub fn take_idle(&mut self) -> Vec<usize> {
        let idle = std::mem::take(&mut self.idle);
        if idle.len() < TOGETHER {
            self.in_vain = self.in_vain.saturating_add(1);
            return Vec::new();
        }
        let now = NonZero::new(self.resets | 1);
        for number in &idle {
            self.pages[*number].given_back = now;
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Plays resets: each writes to pages, and changes some of them. Returns after how many of them there were how
    /// many pages that were written to and not given back.
    fn play(resets: u32, request: impl Fn(u32) -> (Vec<usize>, bool)) -> (Vec<usize>, usize) {
        let mut pages = UnchangedPages::default();
        let (mut there, mut faults) = (BTreeSet::new(), 0);
        let mut counts = Vec::new();
        for reset in 0..resets {
            let (writes, changes) = request(reset);
            faults += writes.iter().filter(|page| there.insert(**page)).count();
            if pages.is_due(there.len()) {
                for page in &there {
                    pages.note(*page, !(changes && writes.contains(page)));
                }
                for page in pages.take_idle() {
                    there.remove(&page);
                }
            }
            counts.push(there.len());
        }
        (counts, faults)
    }

    #[test]
    fn what_one_request_has_written_to_is_given_back_soon() {
        let (counts, faults) = play(100, |reset| match reset {
            10 => ((0..1000).collect(), true),
            _ => ((0..100).collect(), true),
        });
        assert_eq!((counts[9], counts[10], counts[40]), (100, 1000, 100));
        assert_eq!(faults, 1000);
    }

    #[test]
    fn what_each_request_writes_to_stays_whether_it_changes_or_not() {
        let (_, faults) = play(2_000, |_| ((0..100).collect(), true));
        assert_eq!(faults, 100);
        let (_, faults) = play(2_000, |_| ((0..100).collect(), false));
        assert!(faults <= 1_000, "{faults} for 200,000 writes");
    }

    #[test]
    fn requests_of_two_kinds_in_turn_have_few_faults() {
        for every in [2, 3, 4, 5, 8, 30, 100] {
            let heavy = |reset: u32| reset.is_multiple_of(every);
            let (_, faults) = play(2_000, |reset| match heavy(reset) {
                true => ((0..1000).collect(), true),
                false => ((0..100).collect(), true),
            });
            // All of them would be a fault for each of nine hundred pages each time.
            let most = 900 * 2_000 / every as usize / if every < 30 { 8 } else { 1 };
            assert!(
                faults <= most + 1000,
                "{faults} of {most} with each {every}th"
            );
        }
    }

    #[test]
    fn pages_are_compared_less_often_where_nothing_comes_of_it() {
        let mut pages = UnchangedPages::default();
        let mut compared = |resets: u32, count: usize| {
            let mut compared = 0;
            for _ in 0..resets {
                if pages.is_due(count) {
                    compared += 1;
                    pages.note(0, false);
                    pages.take_idle();
                }
            }
            compared
        };
        assert_eq!(compared(32, 100), 8);
        assert_eq!(compared(64 * 10, 100), 10);
        assert_eq!(compared(32, 200), 8);
        assert_eq!(compared(100, TOGETHER - 1), 0);
    }

    #[test]
    fn a_few_are_not_worth_it() {
        let (counts, _) = play(1000, |reset| match reset {
            0 => ((0..TOGETHER - 1).collect(), true),
            _ => (vec![], true),
        });
        assert_eq!(counts[999], TOGETHER - 1);
    }
}
