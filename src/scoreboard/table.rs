//! The `Table` is what the supervisor, which alone writes it, says about the server as a whole.

use super::canary::{CanaryCell, CanaryFigures};
use super::jobs::{JobCells, JobFigures};
use super::shared_text::SharedText;
use super::totals::{CANARIES, Family, JOB_RUNS, JobOutcome, RELOADS, Totals, WORKER_ENDS};
use std::mem::offset_of;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

/// A `ServerState` says what the server is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ServerState {
    /// Some worker has not been ready yet.
    #[default]
    Starting = 0,
    Serving = 1,
    /// The operator has asked for a stop, and requests are still taken.
    Delaying = 2,
    /// No more connections are taken.
    Draining = 3,
    Ending = 4,
    /// It is a mount's and has ended, until somebody asks for that.
    Idle = 5,
}

/// `Versions` says what is known of the versions of the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The version of this number is served; 0 before there is one.
    pub served: u32,
    /// The version of the first number was begun last; the one of the second is the last that could not be served.
    pub attempted: u32,
    pub failed: u32,
    /// A version is being made or tried.
    pub changing: bool,
}

/// A `WorkerEnd` is the end of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerEnd {
    pub pid: i32,
    /// The worker ended for this one of `END_REASONS`.
    pub reason: usize,
    /// The worker ended at this time, in milliseconds since 1970.
    pub at_ms: u64,
    pub detail: String,
}

/// The table tells of this many addresses.
const ADDRESSES: usize = 16;

/// The table remembers this many ends.
const ENDS: usize = 10;

/// An `EndCell` holds an end; the newest stands behind the one before it.
#[derive(Debug)]
#[repr(C)]
struct EndCell {
    at_ms: AtomicU64,
    pid: AtomicI32,
    reason: AtomicU32,
    detail: SharedText<240>,
}

/// `WorkerNumbers` says how many workers there should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerNumbers {
    /// This many workers are wanted now.
    pub wanted: u32,
    /// The number follows the load between these bounds.
    pub least: u32,
    pub most: u32,
    /// No more workers than this may be asked for.
    pub limit: u32,
}

/// The `Table` stands before the entries.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Table {
    /// The server is about to stop taking connections.
    withdrawn: AtomicBool,
    state: AtomicU8,
    changing: AtomicBool,
    served: AtomicU32,
    attempted: AtomicU32,
    failed: AtomicU32,
    wanted: AtomicU32,
    least: AtomicU32,
    most: AtomicU32,
    limit: AtomicU32,
    supervisor: AtomicI32,
    /// A worker that is silent for this long is taken to hang.
    silence_ms: AtomicU64,
    /// The supervisor's loop went round last at this time.
    beat_ms: AtomicU64,
    /// The server was started at the first time, and the last reload was over at `reloaded_at_ms`, in milliseconds
    /// since 1970.
    started_at_ms: AtomicU64,
    /// The server was started at this time, as `beat_ms` has it: clocks that are set later do not make it older.
    began_ms: AtomicU64,
    reloaded_at_ms: AtomicU64,
    /// This many commands of the admin process were carried out.
    commands: AtomicU64,
    canary: CanaryCell,
    jobs: JobCells,
    /// This profile was asked for last: the number of the request, and what `ProfileRequest` makes of the rest.
    profile: AtomicU64,
    /// This many connections wait at each address, plus one; 0 where that is not known.
    backlogs: [AtomicU32; ADDRESSES],
    ended: AtomicU64,
    ends: [EndCell; ENDS],
    /// The last reload failed; the last that did failed for this reason.
    has_failed: AtomicBool,
    failure: SharedText<2048>,
    /// A JSON document says what is served, and where.
    about: SharedText<8192>,
    /// The supervisor itself has counted these, and workers of other executables had counted them.
    totals: Totals,
}

impl Table {
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Relaxed);
    }

    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Relaxed)
    }

    pub fn enter(&self, state: ServerState) {
        self.state.store(state as u8, Relaxed);
    }

    pub fn state(&self) -> ServerState {
        match self.state.load(Relaxed) {
            0 => ServerState::Starting,
            1 => ServerState::Serving,
            2 => ServerState::Delaying,
            3 => ServerState::Draining,
            5 => ServerState::Idle,
            _ => ServerState::Ending,
        }
    }

    pub fn set_versions(&self, versions: Versions) {
        self.served.store(versions.served, Relaxed);
        self.failed.store(versions.failed, Relaxed);
        self.attempted.store(versions.attempted, Relaxed);
        self.changing.store(versions.changing, Relaxed);
    }

    pub fn versions(&self) -> Versions {
        Versions {
            served: self.served.load(Relaxed),
            failed: self.failed.load(Relaxed),
            attempted: self.attempted.load(Relaxed),
            changing: self.changing.load(Relaxed),
        }
    }

    pub fn set_workers(&self, numbers: WorkerNumbers) {
        self.wanted.store(numbers.wanted, Relaxed);
        self.least.store(numbers.least, Relaxed);
        self.most.store(numbers.most, Relaxed);
        self.limit.store(numbers.limit, Relaxed);
    }

    pub fn workers(&self) -> WorkerNumbers {
        WorkerNumbers {
            wanted: self.wanted.load(Relaxed),
            least: self.least.load(Relaxed),
            most: self.most.load(Relaxed),
            limit: self.limit.load(Relaxed),
        }
    }

    /// Notes which process is the supervisor, and after how much silence it takes a worker to hang. The server is as
    /// old as the first supervisor that said so.
    pub fn begin(&self, pid: i32, silence_ms: u64, now_ms: u64, at_ms: u64) {
        self.supervisor.store(pid, Relaxed);
        self.silence_ms.store(silence_ms, Relaxed);
        let _ = self
            .started_at_ms
            .compare_exchange(0, at_ms, Relaxed, Relaxed);
        let _ = self.began_ms.compare_exchange(0, now_ms, Relaxed, Relaxed);
    }

    pub fn supervisor(&self) -> i32 {
        self.supervisor.load(Relaxed)
    }

    pub fn silence_ms(&self) -> u64 {
        self.silence_ms.load(Relaxed)
    }

    pub fn began_ms(&self) -> u64 {
        self.began_ms.load(Relaxed)
    }

    pub fn started_at_ms(&self) -> u64 {
        self.started_at_ms.load(Relaxed)
    }

    /// Notes that the supervisor's loop goes round.
    pub fn beat(&self, now_ms: u64) {
        self.beat_ms.store(now_ms, Relaxed);
    }

    pub fn beat_ms(&self) -> u64 {
        self.beat_ms.load(Relaxed)
    }

    /// Notes that a reload is over, and the reason where it failed.
    pub fn reloaded(&self, failure: Option<&str>, at_ms: u64) {
        self.totals.add(RELOADS, usize::from(failure.is_some()), 1);
        if let Some(why) = failure {
            self.failure.write(why);
        }
        self.has_failed.store(failure.is_some(), Relaxed);
        self.reloaded_at_ms.store(at_ms, Relaxed);
    }

    /// Returns when the last reload was over (0 where there was none), and why it failed where it did.
    pub fn last_reload(&self) -> (u64, String) {
        let failure = self.has_failed.load(Relaxed).then(|| self.last_failure());
        let at_ms = self.reloaded_at_ms.load(Relaxed);
        (at_ms, failure.unwrap_or_default())
    }

    /// Returns why the last reload failed that did.
    pub fn last_failure(&self) -> String {
        self.failure.read()
    }

    /// Says how the canary is; none where no canary runs.
    pub fn set_canary(&self, canary: Option<CanaryFigures>) {
        self.canary.write(canary);
    }

    pub fn canary(&self) -> Option<CanaryFigures> {
        self.canary.read()
    }

    /// Says how long the canary is to run that runs now; none where none does.
    pub fn canary_time(&self) -> Option<Duration> {
        self.canary.time()
    }

    /// A canary was promoted, or rolled back.
    pub fn canary_over(&self, promoted: bool) {
        self.totals.add(CANARIES, usize::from(!promoted), 1);
    }

    /// Says how the periodic jobs are.
    pub fn set_jobs(&self, jobs: &[JobFigures]) {
        self.jobs.write(jobs);
    }

    pub fn jobs(&self) -> Vec<JobFigures> {
        self.jobs.read()
    }

    /// A periodic job was run, or left out.
    pub fn job_over(&self, outcome: JobOutcome) {
        self.totals.add(JOB_RUNS, outcome as usize, 1);
    }

    pub fn describe(&self, about: &str) {
        self.about.write(about);
    }

    pub fn about(&self) -> String {
        self.about.read()
    }

    /// Notes how many connections wait at each address, where that is known.
    pub fn set_backlogs(&self, backlogs: &[Option<u32>]) {
        for (cell, backlog) in self.backlogs.iter().zip(backlogs) {
            let known = backlog.map_or(0, |count| count.saturating_add(1));
            cell.store(known, Relaxed);
        }
    }

    pub fn backlogs(&self) -> [Option<u32>; ADDRESSES] {
        let cells = self.backlogs.each_ref();
        cells.map(|cell| cell.load(Relaxed).checked_sub(1))
    }

    /// Notes that one more order of the admin process was carried out.
    pub fn obeyed(&self) {
        self.commands
            .store(self.commands().wrapping_add(1), Relaxed);
    }

    /// Has workers make a profile.
    pub fn ask_profile(&self, request: u32) {
        let number = (self.profile.load(Relaxed) >> 32).wrapping_add(1);
        self.profile
            .store(number << 32 | u64::from(request), Relaxed);
    }

    /// Returns the number of the profile that was asked for last, and the request.
    pub fn profile(&self) -> (u32, u32) {
        let both = self.profile.load(Relaxed);
        ((both >> 32) as u32, both as u32)
    }

    pub fn commands(&self) -> u64 {
        self.commands.load(Relaxed)
    }

    pub fn worker_ended(&self, end: &WorkerEnd) {
        self.totals.add(WORKER_ENDS, end.reason, 1);
        let ended = self.ended.load(Relaxed);
        let cell = &self.ends[ended as usize % ENDS];
        cell.at_ms.store(end.at_ms, Relaxed);
        cell.pid.store(end.pid, Relaxed);
        cell.reason.store(end.reason as u32, Relaxed);
        cell.detail.write(&end.detail);
        self.ended.store(ended.wrapping_add(1), Relaxed);
    }

    /// Lists the last ends of workers, the newest first.
    pub fn ends(&self) -> Vec<WorkerEnd> {
        let ended = self.ended.load(Relaxed);
        let newest_first = (0..ended.min(ENDS as u64)).map(|back| {
            let cell = &self.ends[(ended - 1 - back) as usize % ENDS];
            WorkerEnd {
                pid: cell.pid.load(Relaxed),
                reason: cell.reason.load(Relaxed) as usize,
                at_ms: cell.at_ms.load(Relaxed),
                detail: cell.detail.read(),
            }
        });
        newest_first.collect()
    }

    /// Computes where the table's totals stand, in bytes.
    pub(super) fn totals_place() -> usize {
        offset_of!(Table, totals)
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns one of the supervisor's own counters.
    pub fn value(&self, family: Family, index: usize) -> u64 {
        self.totals.value(family, index)
    }
}
