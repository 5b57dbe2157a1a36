//! `Answers` are what one version of the application has answered, as far as two of them are compared by it.

use super::totals::{ANSWER_TIMES, ANSWERS, Totals};

/// Times are counted in this many steps: four to each doubling.
pub const STEPS: usize = 128;

/// `Answers` counts the requests that guests were asked, those of them that they failed, and how long all of them took:
/// step `n` counts what took no less than `step_start(n)` microseconds, and less than the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    pub count: u64,
    pub failed: u64,
    pub times: [u64; STEPS],
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            count: 0,
            failed: 0,
            times: [0; STEPS],
        }
    }
}

impl Answers {
    pub fn of(totals: &Totals) -> Answers {
        Answers {
            count: totals.value(ANSWERS, 0),
            failed: totals.value(ANSWERS, 1),
            times: std::array::from_fn(|step| totals.value(ANSWER_TIMES, step)),
        }
    }

    /// Returns what has come since it was like this. A worker may write any number: what went down counts nothing.
    pub fn since(&self, before: &Answers) -> Answers {
        Answers {
            count: self.count.saturating_sub(before.count),
            failed: self.failed.saturating_sub(before.failed),
            times: std::array::from_fn(|step| self.times[step].saturating_sub(before.times[step])),
        }
    }

    /// Notes one more.
    #[cfg(test)]
    pub fn note(&mut self, micros: u64, failed: bool) {
        self.count += 1;
        self.failed += u64::from(failed);
        self.times[step(micros)] += 1;
    }

    pub fn add(&mut self, more: &Answers) {
        self.count = self.count.saturating_add(more.count);
        self.failed = self.failed.saturating_add(more.failed);
        for (time, more) in self.times.iter_mut().zip(&more.times) {
            *time = time.saturating_add(*more);
        }
    }

    /// Says of how many requests the time is counted.
    pub fn timed(&self) -> u64 {
        self.times
            .iter()
            .fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// Gives the time that this part took no longer than, in microseconds; none where there is nothing. Within a step
    /// times are taken to be spread evenly.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = self.timed() as f64 * part.clamp(0.0, 1.0);
        let mut below = 0.0;
        let mut last = None;
        for (step, count) in self
            .times
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let (count, start) = (*count as f64, step_start(step));
            let width = step_start(step + 1) - start;
            if below + count >= wanted {
                return Some(start + width * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            last = Some(start + width);
        }
        last
    }

    /// Says how many took longer than this, in microseconds.
    pub fn longer_than(&self, micros: f64) -> f64 {
        let longer = self.times.iter().enumerate().map(|(step, count)| {
            let (start, end) = (step_start(step), step_start(step + 1));
            *count as f64 * ((end - micros) / (end - start)).clamp(0.0, 1.0)
        });
        longer.sum()
    }
}

/// Says which step a time belongs to.
pub(super) fn step(micros: u64) -> usize {
    if micros < 4 {
        return micros as usize;
    }
    let octave = micros.ilog2() as usize;
    let quarter = (micros >> (octave - 2)) as usize & 3;
    ((octave - 1) * 4 + quarter).min(STEPS - 1)
}

/// Gives the least time of a step, in microseconds.
fn step_start(step: usize) -> f64 {
    match step {
        0..4 => step as f64,
        _ => (4 + step % 4) as f64 * 2_f64.powi(step as i32 / 4 - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_belongs_to_the_step_that_it_is_within() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 32) - 1]) {
            let step = step(micros);
            let (start, end) = (step_start(step), step_start(step + 1));
            assert!((start..end).contains(&(micros as f64)), "{micros}");
        }
        assert_eq!(step(u64::MAX), STEPS - 1);
    }

    #[test]
    fn quantiles_are_right_within_a_step() {
        let mut answers = Answers::default();
        assert_eq!(answers.quantile(0.5), None);
        (1..=1000).for_each(|time| answers.times[step(time * 100)] += 1);
        for (part, micros) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = answers.quantile(part).unwrap();
            assert!((found / micros - 1.0_f64).abs() < 0.25, "{part}: {found}");
            let longer = answers.longer_than(micros) / 1000.0;
            assert!((longer - (1.0 - part)).abs() < 0.12, "{part}: {longer}");
        }
    }

    /// A worker that was taken over may write anything.
    #[test]
    fn no_number_is_too_large() {
        let most = Answers {
            count: u64::MAX,
            failed: u64::MAX,
            times: [u64::MAX; STEPS],
        };
        let mut sum = most.clone();
        sum.add(&most);
        assert!(sum.quantile(0.99).unwrap().is_finite());
        assert_eq!(Answers::default().since(&most), Answers::default());
    }
}
