//! A `JobHistory` says of each periodic job of the version that is served when it ran last, and what came of it.

use super::settings::JobSettings;
use crate::log;
use crate::scoreboard::{JobFigures, JobOutcome, Table};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct JobHistory {
    jobs: Vec<(PathBuf, JobFigures)>,
    /// These have come since the scoreboard was told.
    outcomes: Vec<JobOutcome>,
    has_news: bool,
}

impl JobHistory {
    /// Tells of the jobs of another version; of those that it has too, what was known is.
    pub fn adopt(&mut self, wanted: &[JobSettings]) {
        let mut before = std::mem::take(&mut self.jobs);
        let jobs = wanted.iter().map(|JobSettings { path, period }| {
            let known = before.iter().position(|(known, _)| known == path);
            let known = known.map(|index| before.swap_remove(index).1);
            let figures = JobFigures {
                component: log::escape(&path.display().to_string()).to_string(),
                period_ms: period.as_millis() as u64,
                ..known.unwrap_or_default()
            };
            (path.clone(), figures)
        });
        self.jobs = jobs.collect();
        self.has_news = true;
    }

    pub fn began(&mut self, path: &Path, pid: i32, at_ms: u64) {
        if let Some(job) = self.changed(path) {
            job.pid = pid;
            job.began_at_ms = at_ms;
        }
    }

    /// Notes that a job was due while it ran.
    pub fn left_out(&mut self, path: &Path) {
        self.outcomes.push(JobOutcome::LeftOut);
        if let Some(job) = self.changed(path) {
            job.left_out += 1;
        }
    }

    /// Notes that a run has ended after this time, or could not begin, and the reason where it failed.
    pub fn ended(&mut self, path: &Path, failure: Option<&str>, at_ms: u64, took: Duration) {
        self.outcomes.push(match failure {
            None => JobOutcome::Success,
            Some(_) => JobOutcome::Failure,
        });
        let Some(job) = self.changed(path) else {
            return;
        };
        job.runs += 1;
        job.ended_at_ms = at_ms;
        job.took_ms = took.as_millis() as u64;
        job.pid = 0;
        match failure {
            None => job.succeeded_at_ms = at_ms,
            Some(_) => job.failures += 1,
        }
        job.failure = log::escape(failure.unwrap_or_default()).to_string();
    }

    /// Tells the scoreboard what it does not know.
    pub fn publish(&mut self, table: &Table) {
        for outcome in self.outcomes.drain(..) {
            table.job_over(outcome);
        }
        if std::mem::take(&mut self.has_news) {
            let figures = self.jobs.iter().map(|(_, figures)| figures.clone());
            table.set_jobs(&figures.collect::<Vec<_>>());
        }
    }

    fn changed(&mut self, path: &Path) -> Option<&mut JobFigures> {
        self.has_news = true;
        let mut jobs = self.jobs.iter_mut();
        jobs.find(|(known, _)| known == path).map(|(_, job)| job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;
    use crate::scoreboard::totals::JOB_RUNS;

    fn job(path: &str, seconds: u64) -> JobSettings {
        JobSettings {
            path: path.into(),
            period: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn what_is_known_of_a_job_outlives_a_reload_that_keeps_it() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let table = scoreboard.table();
        let mut history = JobHistory::default();
        history.adopt(&[job("a\n", 5), job("b", 5)]);
        history.began("a\n".as_ref(), 7, 1000);
        history.publish(table);
        let told = table.jobs();
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].component.as_str(), told[0].pid), ("a\\n", 7));
        history.left_out("a\n".as_ref());
        history.ended("a\n".as_ref(), Some("it has\nfailed"), 3000, Duration::ZERO);
        history.adopt(&[job("c", 1), job("a\n", 9)]);
        history.began("a\n".as_ref(), 8, 4000);
        // The machine's clock was set back meanwhile.
        let took = Duration::from_millis(1500);
        history.ended("a\n".as_ref(), None, 2500, took);
        // It is of the version before.
        history.ended("b".as_ref(), None, 2500, took);
        history.publish(table);
        let told = table.jobs();
        assert_eq!(told[0].runs, 0);
        let expected = JobFigures {
            component: "a\\n".to_owned(),
            period_ms: 9000,
            runs: 2,
            failures: 1,
            left_out: 1,
            began_at_ms: 4000,
            ended_at_ms: 2500,
            took_ms: 1500,
            succeeded_at_ms: 2500,
            ..JobFigures::default()
        };
        assert_eq!(told[1..], [expected]);
        let counted = [0, 1, 2].map(|outcome| table.value(JOB_RUNS, outcome));
        assert_eq!(counted, [2, 1, 1]);
    }
}
