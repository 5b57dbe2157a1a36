//! `Changes` says whether a watched file has changed, and whether whoever changes it has finished.

use crate::sys::watch::{Settling, Signature};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A changed file must be left alone for this long before it counts as written.
const SETTLED: Duration = Duration::from_millis(150);

pub struct Changes {
    files: Vec<PathBuf>,
    signatures: Settling<Vec<Signature>>,
}

impl Changes {
    pub fn new(files: Vec<PathBuf>, known: Vec<Signature>) -> Changes {
        Changes {
            files,
            signatures: Settling::new(known, SETTLED),
        }
    }

    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Takes note of how the files are now. Tells once of each change, when it has settled: nobody
    /// writes any more, and no file is missing or empty. A file that was not there at the start is one that the start
    /// itself has pulled: that it comes is no change.
    pub fn seen(&mut self, signatures: Vec<Signature>, now: Instant) -> bool {
        let is_whole = |it: &Signature| it.is_some_and(|(_, _, length, _)| length > 0);
        let all = |signatures: &Vec<Signature>| signatures.iter().all(is_whole);
        let before = self.signatures.seen(signatures, now, all);
        before.is_some_and(|before| before.iter().all(Option::is_some))
    }

    /// Says when to look again, where something is going on.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        // A file that stays empty or away is looked at with every beat.
        self.signatures
            .settles_at()
            .filter(|settled| *settled > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    const TICK: Duration = Duration::from_millis(50);

    fn file(inode: u64, length: u64) -> Vec<Signature> {
        vec![Some((1, inode, length, SystemTime::UNIX_EPOCH))]
    }

    /// Says which of these observations, one a tick, told of a change.
    fn told(observations: &[Vec<Signature>]) -> Vec<usize> {
        told_after(file(1, 10), observations)
    }

    fn told_after(known: Vec<Signature>, observations: &[Vec<Signature>]) -> Vec<usize> {
        let mut changes = Changes::new(vec![PathBuf::from("app.wasm")], known);
        let start = Instant::now();
        let mut told = Vec::new();
        for (tick, observed) in observations.iter().enumerate() {
            if changes.seen(
                observed.clone(),
                start + TICK * u32::try_from(tick).unwrap(),
            ) {
                told.push(tick);
            }
        }
        told
    }

    #[test]
    fn a_file_replaced_by_rename_is_told_of_once() {
        let mut observed = vec![file(1, 10)];
        observed.extend(std::iter::repeat_n(file(2, 11), 20));
        assert_eq!(told(&observed), [4]);
    }

    #[test]
    fn a_file_is_not_told_of_while_it_is_written() {
        let mut observed: Vec<_> = (1..10).map(|length| file(1, 10 + length)).collect();
        observed.extend(std::iter::repeat_n(file(1, 30), 5));
        assert_eq!(told(&observed), [12]);
    }

    #[test]
    fn a_file_that_is_away_or_empty_is_waited_for() {
        let mut observed = vec![vec![None]; 10];
        observed.extend(std::iter::repeat_n(file(3, 0), 10));
        observed.extend(std::iter::repeat_n(file(3, 10), 5));
        assert_eq!(told(&observed), [23]);
    }

    #[test]
    fn a_file_that_the_start_has_pulled_has_not_changed_until_it_does() {
        let mut observed = vec![file(1, 10); 10];
        observed.extend(std::iter::repeat_n(file(2, 11), 10));
        assert_eq!(told_after(vec![None], &observed), [13]);
    }

    #[test]
    fn a_file_that_was_put_back_has_not_changed() {
        let observed = [file(1, 10), file(2, 5), file(1, 10), file(1, 10)];
        assert_eq!(told(&observed), [] as [usize; 0]);
    }
}
