//! Totals only ever grow. This file says which there are, what they are called among executables, and where each
//! stands.

use super::answers::{self, STEPS};
pub use super::guests::{DROP_REASONS, MADE_REASONS, OUTBOUND_OUTCOMES};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A `Family` is a set of counters that belong together: one number, or one for each value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Another executable knows the family by this name.
    pub name: &'static str,
    first: usize,
    pub count: usize,
}

impl Family {
    const fn first(name: &'static str, count: usize) -> Family {
        let first = 0;
        Family { name, first, count }
    }

    /// Makes the family that stands behind this one.
    const fn then(self, name: &'static str, count: usize) -> Family {
        Family {
            name,
            first: self.end(),
            count,
        }
    }

    const fn end(self) -> usize {
        self.first + self.count
    }

    /// Computes how many bytes the family begins after the first one.
    pub(super) fn offset(self) -> usize {
        self.first * size_of::<AtomicU64>()
    }
}

/// A histogram has this many buckets: bucket `n` counts what took less than 2^n microseconds.
pub const BUCKETS: usize = 32;

/// These methods are told apart; the last stands for all others.
pub const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "_OTHER",
];

/// These are the classes of statuses; in the first the client left before there was a status.
pub const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// `GuestFailure` says how a guest fails a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFailure {
    Trap,
    Timeout,
    Memory,
    NoResponse,
    /// The guest answered with an error, with a head that cannot be sent, or gave up its body.
    Error,
}

pub const GUEST_FAILURE_KINDS: [&str; 5] = ["trap", "timeout", "memory", "no_response", "error"];

/// `Shed` says why a request was refused with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The queue was full.
    Queue,
    /// The request waited for too long.
    Wait,
    /// There was no memory for the request.
    Memory,
}

pub const SHED_KINDS: [&str; 3] = ["queue_full", "queue_timeout", "memory"];

/// A `Protocol` is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

pub const PROTOCOLS: [&str; 2] = ["http/1.1", "http/2"];

pub const HANDSHAKE_OUTCOMES: [&str; 2] = ["success", "failure"];

/// `EndReason` says why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    Reload,
    ScaleDown,
    Shutdown,
    MaxRequests,
    MaxMemory,
    MaxLifetime,
    /// The operator asked for the end.
    Asked,
    /// The worker's listening socket was of no more use.
    Sockets,
    Hung,
    StartupTimeout,
    DrainTimeout,
    /// The code that the worker executed ended it.
    Crashed,
    /// Somebody else killed the worker.
    Killed,
    OutOfMemory,
    Exited,
}

pub const END_REASONS: [&str; 15] = [
    "reload",
    "scale_down",
    "shutdown",
    "max_requests",
    "max_memory",
    "max_lifetime",
    "asked",
    "sockets",
    "hung",
    "startup_timeout",
    "drain_timeout",
    "crashed",
    "killed",
    "out_of_memory",
    "exited",
];

/// Somebody should look into these ends of workers.
pub const BAD_ENDS: &[&str] = END_REASONS.split_at(EndReason::Sockets as usize).1;

pub const RELOAD_OUTCOMES: [&str; 2] = ["success", "failure"];

pub const CANARY_OUTCOMES: [&str; 2] = ["promoted", "rolled_back"];

/// `JobOutcome` says what came of a time that a periodic job was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    Success,
    Failure,
    /// It still ran.
    LeftOut,
}

pub const JOB_OUTCOMES: [&str; 3] = ["success", "failure", "left_out"];

/// These are the logs: of what happens, and of requests.
pub const LOGS: [&str; 2] = ["main", "access"];

pub const CONNECTIONS: Family = Family::first("connections", 1);
pub const REQUESTS: Family = CONNECTIONS.then("requests", 1);
/// There is a counter for each class of each method.
pub const RESPONSES: Family = REQUESTS.then("responses", METHODS.len() * CLASSES.len());
pub const GUEST_FAILURES: Family = RESPONSES.then("guest_failures_by_kind", 5);
pub const BYTES_OUT: Family = GUEST_FAILURES.then("bytes_out", 1);
pub const BYTES_IN: Family = BYTES_OUT.then("bytes_in", 1);
pub const LATENCY: Family = BYTES_IN.then("latency", BUCKETS);
/// The sum is in microseconds, as all sums are.
pub const LATENCY_SUM: Family = LATENCY.then("latency_sum", 1);
pub const GUEST_TIME: Family = LATENCY_SUM.then("guest_time", BUCKETS);
pub const GUEST_TIME_SUM: Family = GUEST_TIME.then("guest_time_sum", 1);
pub const WAIT: Family = GUEST_TIME_SUM.then("wait", BUCKETS);
pub const WAIT_SUM: Family = WAIT.then("wait_sum", 1);
pub const SHED: Family = WAIT_SUM.then("shed", SHED_KINDS.len());
pub const SPOKEN: Family = SHED.then("spoken", PROTOCOLS.len());
pub const HANDSHAKES: Family = SPOKEN.then("handshakes", HANDSHAKE_OUTCOMES.len());
/// The processor time is in microseconds.
pub const CPU: Family = HANDSHAKES.then("cpu", 1);
pub const WORKER_ENDS: Family = CPU.then("worker_ends", END_REASONS.len());
pub const RELOADS: Family = WORKER_ENDS.then("reloads", RELOAD_OUTCOMES.len());
pub const SPANS_EXPORTED: Family = RELOADS.then("spans_exported", 1);
pub const SPANS_DROPPED: Family = SPANS_EXPORTED.then("spans_dropped", 1);
pub const INSTANCES_MADE: Family = SPANS_DROPPED.then("instances_made", MADE_REASONS.len());
pub const INSTANCES_RESTORED: Family = INSTANCES_MADE.then("instances_restored", 1);
pub const INSTANCES_REUSED: Family = INSTANCES_RESTORED.then("instances_reused", 1);
pub const INSTANCES_DROPPED: Family =
    INSTANCES_REUSED.then("instances_dropped", DROP_REASONS.len());
pub const OUTBOUND: Family = INSTANCES_DROPPED.then("outbound", OUTBOUND_OUTCOMES.len());
/// The first counts requests that guests were asked, the second those of them that they failed or answered with a status
/// of 500 and above.
pub const ANSWERS: Family = OUTBOUND.then("answers", 2);
/// These count how long the first took, in finer steps than `LATENCY` has.
pub const ANSWER_TIMES: Family = ANSWERS.then("answer_times", STEPS);
pub const CANARIES: Family = ANSWER_TIMES.then("canaries", CANARY_OUTCOMES.len());
pub const JOB_RUNS: Family = CANARIES.then("job_runs", JOB_OUTCOMES.len());
pub const LOG_LINES_LOST: Family = JOB_RUNS.then("log_lines_lost", LOGS.len());

/// These are all families, in their order.
pub const FAMILIES: [Family; 30] = [
    CONNECTIONS,
    REQUESTS,
    RESPONSES,
    GUEST_FAILURES,
    BYTES_OUT,
    BYTES_IN,
    LATENCY,
    LATENCY_SUM,
    GUEST_TIME,
    GUEST_TIME_SUM,
    WAIT,
    WAIT_SUM,
    SHED,
    SPOKEN,
    HANDSHAKES,
    CPU,
    WORKER_ENDS,
    RELOADS,
    SPANS_EXPORTED,
    SPANS_DROPPED,
    INSTANCES_MADE,
    INSTANCES_RESTORED,
    INSTANCES_REUSED,
    INSTANCES_DROPPED,
    OUTBOUND,
    ANSWERS,
    ANSWER_TIMES,
    CANARIES,
    JOB_RUNS,
    LOG_LINES_LOST,
];

const LENGTH: usize = LOG_LINES_LOST.end();

/// `Totals` holds the counters of one process. It alone writes them, and so it needs no atomic addition.
#[derive(Debug)]
#[repr(C)]
pub struct Totals([AtomicU64; LENGTH]);

impl Totals {
    /// Adds to one counter of a family.
    pub fn add(&self, family: Family, index: usize, more: u64) {
        debug_assert!(index < family.count);
        if let Some(total) = self.0.get(family.first + index) {
            total.store(total.load(Relaxed).wrapping_add(more), Relaxed);
        }
    }

    /// Adds to each counter of a family.
    pub fn add_all<const N: usize>(&self, family: Family, more: [u64; N]) {
        for (index, more) in more.into_iter().enumerate().filter(|(_, more)| *more > 0) {
            self.add(family, index, more);
        }
    }

    /// Notes in a histogram, and in its sum, that something took this long.
    pub(super) fn observe(&self, histogram: Family, sum: Family, micros: u64) {
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.add(histogram, bucket.min(BUCKETS - 1), 1);
        self.add(sum, 0, micros);
    }

    /// Notes that a guest was asked, how long its answer took, and whether it failed.
    pub(super) fn answered(&self, micros: u64, failed: bool) {
        self.add(ANSWERS, 0, 1);
        self.add(ANSWERS, 1, u64::from(failed));
        self.add(ANSWER_TIMES, answers::step(micros), 1);
    }

    /// Adds to a total of this name, as another executable has it. A name that is not known counts nothing.
    pub(super) fn add_named(&self, name: &str, index: usize, more: u64) {
        let other = (METHODS.len() - 1) * CLASSES.len();
        let (family, index) = match name {
            // How executables before these told of them.
            "statuses" => (RESPONSES, other + index + 1),
            "guest_failures" => (GUEST_FAILURES, GuestFailure::Error as usize),
            name => match FAMILIES.iter().find(|family| family.name == name) {
                Some(family) => (*family, index),
                None => return,
            },
        };
        if index < family.count {
            self.add(family, index, more);
        }
    }

    pub fn value(&self, family: Family, index: usize) -> u64 {
        let total = self.0.get(family.first + index);
        total.map_or(0, |total| total.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stand_one_behind_the_other_and_each_has_its_own_name() {
        let mut end = 0;
        for (index, family) in FAMILIES.iter().enumerate() {
            assert_eq!(family.first, end);
            end = family.end();
            let mut others = FAMILIES.iter().enumerate();
            assert!(!others.any(|(other, it)| other != index && it.name == family.name));
        }
        assert_eq!(end, LENGTH);
        assert_eq!(EndReason::Exited as usize + 1, END_REASONS.len());
        assert_eq!(GUEST_FAILURES.count, GUEST_FAILURE_KINDS.len());
    }
}
