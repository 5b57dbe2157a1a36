//! `JobCells` have what the supervisor says about periodic jobs: when each ran last, and what came of it.

use super::shared_text::SharedText;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// There is room for this many jobs; further ones are run, and not told of.
const JOBS: usize = 32;

/// `JobFigures` says how one job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFigures {
    pub component: String,
    pub period_ms: u64,
    /// The job runs in this process; 0 while it does not.
    pub pid: i32,
    pub runs: u64,
    pub failures: u64,
    /// This many times the job still ran when it was due.
    pub left_out: u64,
    /// The last run began and ended at these times, in milliseconds since 1970; 0 where none did.
    pub began_at_ms: u64,
    pub ended_at_ms: u64,
    /// The last run that ended took this long.
    pub took_ms: u64,
    /// A run ended well at this time, the last that did.
    pub succeeded_at_ms: u64,
    /// The last run that ended failed for this reason; nothing where it did not fail.
    pub failure: String,
}

/// A `JobCells` has `JobFigures` in shared memory.
#[derive(Debug)]
#[repr(C)]
pub struct JobCells {
    count: AtomicU32,
    cells: [JobCell; JOBS],
}

#[derive(Debug)]
#[repr(C)]
struct JobCell {
    numbers: [AtomicU64; 8],
    pid: AtomicI32,
    component: SharedText<200>,
    failure: SharedText<400>,
}

impl JobCells {
    pub fn write(&self, jobs: &[JobFigures]) {
        for (cell, job) in self.cells.iter().zip(jobs) {
            let numbers = [
                job.period_ms,
                job.runs,
                job.failures,
                job.left_out,
                job.began_at_ms,
                job.ended_at_ms,
                job.took_ms,
                job.succeeded_at_ms,
            ];
            for (cell, number) in cell.numbers.iter().zip(numbers) {
                cell.store(number, Relaxed);
            }
            cell.pid.store(job.pid, Relaxed);
            cell.component.write(&job.component);
            cell.failure.write(&job.failure);
        }
        self.count.store(jobs.len().min(JOBS) as u32, Relaxed);
    }

    pub fn read(&self) -> Vec<JobFigures> {
        let count = self.count.load(Relaxed) as usize;
        let cells = self.cells.iter().take(count);
        cells.map(JobCell::read).collect()
    }
}

impl JobCell {
    fn read(&self) -> JobFigures {
        let numbers = self.numbers.each_ref();
        let [
            period_ms,
            runs,
            failures,
            left_out,
            began_at_ms,
            ended_at_ms,
            took_ms,
            succeeded_at_ms,
        ] = numbers.map(|cell| cell.load(Relaxed));
        JobFigures {
            component: self.component.read(),
            period_ms,
            pid: self.pid.load(Relaxed),
            runs,
            failures,
            left_out,
            began_at_ms,
            ended_at_ms,
            took_ms,
            succeeded_at_ms,
            failure: self.failure.read(),
        }
    }
}
