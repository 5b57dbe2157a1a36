//! A `Schedule` says when periodic jobs are due: a run that was missed is not made up for, and none begins before the
//! one before it has ended.

use crate::supervisor::settings::JobSettings;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A `Schedule` says when each job is to be run. It knows no processes.
#[derive(Debug, Default)]
pub struct Schedule {
    jobs: Vec<Job>,
    /// The jobs that run may go on until then, and no other begins.
    finish_by: Option<Instant>,
}

#[derive(Debug)]
struct Job {
    path: PathBuf,
    /// The version that is served wants the job run this often.
    period: Option<Duration>,
    due: Instant,
    limit: Duration,
    state: JobState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobState {
    Waiting,
    Running { deadline: Instant },
    Killed(Lateness),
}

/// A `Lateness` says why a job that ran was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lateness {
    OverLimit,
    Stopped,
}

/// A `DueJob` is a job whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub struct DueJob {
    pub path: PathBuf,
    /// The job runs still, and is left out this time.
    pub is_running: bool,
}

impl Schedule {
    /// Takes over what another version wants: whose period is the same as before is due when it was.
    pub fn adopt(&mut self, wanted: &[JobSettings], limit: Duration, now: Instant) {
        for job in &mut self.jobs {
            job.period = job.period.filter(|period| {
                let mut wanted = wanted.iter();
                wanted.any(|it| it.path == job.path && it.period == *period)
            });
        }
        for JobSettings { path, period } in wanted {
            let (period, due) = (*period, now + *period);
            match self.job(path) {
                Some(job) => {
                    job.limit = limit;
                    if job.period.is_none() {
                        (job.period, job.due) = (Some(period), due);
                    }
                }
                None => self.jobs.push(Job {
                    path: path.clone(),
                    period: Some(period),
                    due,
                    limit,
                    state: JobState::Waiting,
                }),
            }
        }
        self.forget();
    }

    /// Gives those whose time has come, each once, and has them due again later.
    pub fn due(&mut self, now: Instant) -> Vec<DueJob> {
        if self.finish_by.is_some() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for job in &mut self.jobs {
            let Some(period) = job.period.filter(|_| job.due <= now) else {
                continue;
            };
            job.due = next(job.due, period, now);
            all.push(DueJob {
                path: job.path.clone(),
                is_running: job.state != JobState::Waiting,
            });
        }
        all
    }

    pub fn started(&mut self, path: &Path, now: Instant) {
        if let Some(job) = self.job(path) {
            let deadline = now + job.limit;
            job.state = JobState::Running { deadline };
        }
    }

    /// Gives the jobs that have run for too long, each once.
    pub fn overdue(&mut self, now: Instant) -> Vec<PathBuf> {
        let finish_by = self.finish_by;
        let mut all = Vec::new();
        for job in &mut self.jobs {
            let JobState::Running { deadline } = job.state else {
                continue;
            };
            let lateness = match finish_by {
                _ if deadline <= now => Lateness::OverLimit,
                Some(until) if until <= now => Lateness::Stopped,
                _ => continue,
            };
            job.state = JobState::Killed(lateness);
            all.push(job.path.clone());
        }
        all
    }

    /// Notes that one has ended, and says why it was killed, where it was.
    pub fn ended(&mut self, path: &Path) -> Option<String> {
        let job = self.job(path)?;
        let killed = match std::mem::replace(&mut job.state, JobState::Waiting) {
            JobState::Killed(Lateness::OverLimit) => Some(format!(
                "it took longer than --timeout-every ({} s) and was ended",
                job.limit.as_secs_f64()
            )),
            JobState::Killed(Lateness::Stopped) => {
                Some("it was ended, as the server does not wait for it any longer".to_owned())
            }
            JobState::Running { .. } | JobState::Waiting => None,
        };
        self.forget();
        killed
    }

    /// Begins nothing more, and gives what runs time until then, or until an earlier time that was said before.
    pub fn finish_by(&mut self, deadline: Instant) {
        let until = self
            .finish_by
            .map_or(deadline, |before| before.min(deadline));
        self.finish_by = Some(until);
    }

    /// Goes on as if nobody had wanted to finish.
    pub fn go_on(&mut self, now: Instant) {
        self.finish_by = None;
        for job in &mut self.jobs {
            if let Some(period) = job.period.filter(|_| job.due <= now) {
                job.due = next(job.due, period, now);
            }
        }
    }

    /// Says when what runs has to have ended, where something runs.
    pub fn deadline(&self) -> Option<Instant> {
        let running = self.jobs.iter().filter_map(|job| match job.state {
            JobState::Running { deadline } => Some(deadline),
            JobState::Waiting | JobState::Killed(_) => None,
        });
        let last = running.max()?;
        Some(self.finish_by.map_or(last, |until| until.min(last)))
    }

    /// Says when there is something to do.
    pub fn wakes_at(&self) -> Option<Instant> {
        let wakes = self.jobs.iter().flat_map(|job| {
            let due = job.period.filter(|_| self.finish_by.is_none());
            let due = due.map(|_| job.due);
            let overdue = match job.state {
                JobState::Running { deadline } => {
                    Some(self.finish_by.map_or(deadline, |until| until.min(deadline)))
                }
                JobState::Waiting | JobState::Killed(_) => None,
            };
            [due, overdue].into_iter().flatten()
        });
        wakes.min()
    }

    fn job(&mut self, path: &Path) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.path == path)
    }

    /// Drops those that nobody wants and that do not run.
    fn forget(&mut self) {
        self.jobs
            .retain(|job| job.period.is_some() || job.state != JobState::Waiting);
    }
}

/// Computes the first time after now that is a whole number of periods after `due`.
fn next(due: Instant, period: Duration, now: Instant) -> Instant {
    let missed = now.saturating_duration_since(due).as_nanos() / period.as_nanos().max(1);
    let periods = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    period
        .checked_mul(periods)
        .and_then(|passed| due.checked_add(passed))
        .unwrap_or(now + period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn job(path: &str, seconds: u32) -> JobSettings {
        JobSettings {
            path: path.into(),
            period: seconds * SECOND,
        }
    }

    fn schedule(jobs: &[JobSettings], now: Instant) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.adopt(jobs, 100 * SECOND, now);
        schedule
    }

    fn due(schedule: &mut Schedule, now: Instant) -> Vec<(String, bool)> {
        let due = schedule.due(now).into_iter();
        due.map(|due| (due.path.display().to_string(), due.is_running))
            .collect()
    }

    #[test]
    fn each_is_due_after_its_period_and_what_was_missed_is_not_made_up_for() {
        let now = Instant::now();
        let mut schedule = schedule(&[job("a", 10), job("b", 25)], now);
        assert_eq!(schedule.wakes_at(), Some(now + 10 * SECOND));
        assert!(due(&mut schedule, now + 9 * SECOND).is_empty());
        assert_eq!(due(&mut schedule, now + 10 * SECOND), [("a".into(), false)]);
        assert!(due(&mut schedule, now + 10 * SECOND).is_empty());
        // Five of one and two of the other were missed.
        let all = due(&mut schedule, now + 64 * SECOND);
        assert_eq!(all, [("a".into(), false), ("b".into(), false)]);
        assert_eq!(schedule.wakes_at(), Some(now + 70 * SECOND));
    }

    #[test]
    fn there_are_never_two_of_one() {
        let now = Instant::now();
        let mut schedule = schedule(&[job("a", 10)], now);
        due(&mut schedule, now + 10 * SECOND);
        schedule.started("a".as_ref(), now + 10 * SECOND);
        assert_eq!(due(&mut schedule, now + 20 * SECOND), [("a".into(), true)]);
        // Another version wants it more often, and it runs still.
        schedule.adopt(&[job("a", 3)], 100 * SECOND, now + 21 * SECOND);
        assert_eq!(due(&mut schedule, now + 24 * SECOND), [("a".into(), true)]);
        assert_eq!(schedule.ended("a".as_ref()), None);
        assert_eq!(due(&mut schedule, now + 27 * SECOND), [("a".into(), false)]);
    }

    #[test]
    fn another_version_keeps_the_time_of_what_is_as_it_was() {
        let now = Instant::now();
        let mut schedule = schedule(&[job("a", 10), job("b", 10), job("c", 10)], now);
        schedule.started("c".as_ref(), now);
        let later = now + 5 * SECOND;
        schedule.adopt(&[job("a", 10), job("b", 20)], 100 * SECOND, later);
        let all = due(&mut schedule, now + 10 * SECOND);
        assert_eq!(all, [("a".into(), false)]);
        assert_eq!(due(&mut schedule, later + 20 * SECOND).len(), 2);
        // What is wanted no more ends in its time.
        assert_eq!(schedule.overdue(now + 100 * SECOND), [PathBuf::from("c")]);
        assert!(schedule.ended("c".as_ref()).is_some());
        assert_eq!(schedule.jobs.len(), 2);
    }

    #[test]
    fn what_takes_too_long_is_ended_once() {
        let now = Instant::now();
        let mut schedule = schedule(&[job("a", 1000)], now);
        schedule.started("a".as_ref(), now);
        assert_eq!(schedule.wakes_at(), Some(now + 100 * SECOND));
        assert!(schedule.overdue(now + 99 * SECOND).is_empty());
        assert_eq!(schedule.overdue(now + 100 * SECOND), [PathBuf::from("a")]);
        assert!(schedule.overdue(now + 101 * SECOND).is_empty());
        let why = schedule.ended("a".as_ref()).unwrap();
        assert!(why.contains("--timeout-every (100 s)"), "{why}");
    }

    #[test]
    fn a_stop_waits_no_longer_than_it_says_and_begins_nothing() {
        let now = Instant::now();
        let mut schedule = schedule(&[job("a", 10)], now);
        schedule.started("a".as_ref(), now);
        schedule.finish_by(now + 30 * SECOND);
        schedule.finish_by(now + 40 * SECOND);
        assert_eq!(schedule.deadline(), Some(now + 30 * SECOND));
        assert!(due(&mut schedule, now + 20 * SECOND).is_empty());
        assert_eq!(schedule.wakes_at(), Some(now + 30 * SECOND));
        assert_eq!(schedule.overdue(now + 30 * SECOND).len(), 1);
        assert_eq!(schedule.deadline(), None);
        schedule.ended("a".as_ref());
        // The server goes on after all.
        schedule.go_on(now + 31 * SECOND);
        assert_eq!(schedule.wakes_at(), Some(now + 40 * SECOND));
    }
}
