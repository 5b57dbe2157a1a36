//! A `Reading` has what stands in the scoreboard at one moment, as plain values. What a worker has written about
//! itself is taken as it is: it may be anything.

use crate::scoreboard::totals::{self, FAMILIES, Family};
use crate::scoreboard::{
    CanaryFigures, JobFigures, Scoreboard, ServerState, Versions, WorkerEnd, WorkerNumbers,
    WorkerPhase,
};
use crate::sys::clock;
use std::time::Duration;

/// A `Reading` has everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The supervisor is this process.
    pub supervisor: i32,
    pub state: ServerState,
    pub withdrawn: bool,
    pub versions: Versions,
    /// A canary has these figures; none where no canary runs.
    pub canary: Option<CanaryFigures>,
    pub jobs: Vec<JobFigures>,
    pub numbers: WorkerNumbers,
    /// A worker that is silent for this long is taken to hang.
    pub silence: Duration,
    /// The supervisor's loop went round this long ago.
    pub beat_age: Duration,
    pub uptime: Duration,
    /// The server was started at this time, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The last reload was over at this time (0 where there was none), and failed for this reason if it did.
    pub reloaded_at_ms: u64,
    pub failure: String,
    /// The supervisor says this of the application and the addresses, in JSON.
    pub about: String,
    /// This many connections wait at each address, where that is known.
    pub backlogs: Vec<Option<u32>>,
    pub workers: Vec<WorkerReading>,
    pub ends: Vec<WorkerEnd>,
    pub totals: TotalsReading,
    pub mounts: Vec<MountReading>,
}

/// A `MountReading` has what is known of a component that is mounted.
#[derive(Clone, Debug)]
pub struct MountReading {
    pub name: String,
    pub component: String,
    /// Its server says this; nothing while it does not run.
    pub server: Option<Reading>,
}

/// A `WorkerReading` has what is known of one worker.
#[derive(Clone, Debug)]
pub struct WorkerReading {
    pub slot: usize,
    pub pid: i32,
    pub phase: WorkerPhase,
    pub generation: u32,
    pub age: Duration,
    pub heartbeat_age: Duration,
    pub connections: u32,
    pub websockets: u32,
    pub in_flight: u32,
    pub waiting: u32,
    pub requests: u64,
    pub failures: u64,
    pub busy: f64,
    /// The memory is 0 where it is not known yet.
    pub memory: u64,
    pub cpu_micros: u64,
    /// The first is how many instances there are, the second how many of them wait for a request.
    pub instances: (u32, u32),
    /// The worker last refused a request for want of room this long ago, if it ever did.
    pub shed_age: Option<Duration>,
    /// The worker's guest was asked this last, this long ago.
    pub asked: String,
    pub asked_age: Duration,
}

/// `TotalsReading` has the counters of all workers that there ever were, family by family.
#[derive(Clone, Debug, Default)]
pub struct TotalsReading(Vec<u64>);

impl TotalsReading {
    fn of(scoreboard: &Scoreboard) -> TotalsReading {
        let families = FAMILIES.iter();
        let numbers = families
            .flat_map(|family| (0..family.count).map(|index| scoreboard.total(*family, index)));
        TotalsReading(numbers.collect())
    }

    /// Returns the counters of one family.
    pub fn family(&self, wanted: Family) -> &[u64] {
        let before = FAMILIES.iter().take_while(|family| **family != wanted);
        let first: usize = before.map(|family| family.count).sum();
        self.0.get(first..first + wanted.count).unwrap_or_default()
    }

    /// Counts the responses of one class of status, by whatever method.
    pub fn responses(&self, class: usize) -> u64 {
        let counts = self.family(totals::RESPONSES).iter().skip(class);
        let counts = counts.step_by(totals::CLASSES.len());
        counts.fold(0, |sum: u64, count| sum.wrapping_add(*count))
    }

    pub fn one(&self, wanted: Family) -> u64 {
        self.family(wanted).first().copied().unwrap_or_default()
    }
}

impl Reading {
    pub fn of(scoreboard: &Scoreboard) -> Reading {
        let table = scoreboard.table();
        let now_ms = clock::now_ms();
        let (reloaded_at_ms, failure) = table.last_reload();
        let taken = (0..scoreboard.length())
            .filter(|slot| scoreboard.entry(*slot).phase() != WorkerPhase::Free);
        Reading {
            supervisor: table.supervisor(),
            state: table.state(),
            withdrawn: table.is_withdrawn(),
            versions: table.versions(),
            canary: table.canary(),
            jobs: table.jobs(),
            numbers: table.workers(),
            silence: Duration::from_millis(table.silence_ms()),
            beat_age: since(table.beat_ms(), now_ms),
            uptime: since(table.began_ms(), now_ms),
            started_at_ms: table.started_at_ms(),
            reloaded_at_ms,
            failure,
            about: table.about(),
            backlogs: table.backlogs().to_vec(),
            workers: taken
                .map(|slot| WorkerReading::of(scoreboard, slot, now_ms))
                .collect(),
            ends: table.ends(),
            totals: TotalsReading::of(scoreboard),
            mounts: Vec::new(),
        }
    }
}

impl WorkerReading {
    fn of(scoreboard: &Scoreboard, index: usize, now_ms: u64) -> WorkerReading {
        let (entry, slot) = (scoreboard.entry(index), scoreboard.slot(index));
        let shed_ms = slot.shed_ms();
        WorkerReading {
            slot: index,
            pid: entry.pid(),
            phase: entry.phase(),
            generation: entry.generation(),
            age: since(entry.started_ms(), now_ms),
            heartbeat_age: since(slot.heartbeat_ms(), now_ms),
            connections: slot.connections(),
            websockets: slot.websockets(),
            in_flight: slot.in_flight(),
            waiting: slot.waiting(),
            requests: slot.requests().wrapping_sub(entry.requests_before()),
            failures: slot.guest_failures().wrapping_sub(entry.failures_before()),
            busy: slot.busy(),
            memory: slot.memory(),
            cpu_micros: slot.totals().value(totals::CPU, 0),
            instances: slot.instances(),
            shed_age: (shed_ms > 0).then(|| since(shed_ms, now_ms)),
            asked: slot.answered_last(),
            asked_age: since(slot.answering_ms(), now_ms),
        }
    }

    /// Says whether the worker's serving loop has been silent for longer than it may.
    pub fn hangs(&self, silence: Duration) -> bool {
        self.heartbeat_age > silence
    }
}

fn since(then_ms: u64, now_ms: u64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(then_ms))
}
