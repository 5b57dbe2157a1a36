//! One worker's slot: what it tells of itself while it serves.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The slot has no worker.
    Free = 0,
    Starting = 1,
    Ready = 2,
    /// It takes no more connections.
    Draining = 3,
}

/// Buckets of the latency histogram: bucket `n` counts requests of less than 2^n microseconds.
pub const BUCKETS: usize = 32;

const ANSWERING: usize = 112;

/// One worker's slot.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Slot {
    /// The process that has the slot, or had it last, and the version that it serves.
    pid: AtomicI32,
    generation: AtomicU32,
    /// When it was forked, in milliseconds of `sys::clock`.
    started_ms: AtomicU64,
    phase: AtomicU8,
    heartbeat_ms: AtomicU64,
    connections: AtomicU32,
    in_flight: AtomicU32,
    connections_total: AtomicU64,
    requests: AtomicU64,
    statuses: [AtomicU64; 5],
    guest_failures: AtomicU64,
    bytes_out: AtomicU64,
    latency: [AtomicU64; BUCKETS],
    /// The request line that was handed to a guest last. A reader may see half of two: it is for
    /// people's eyes.
    answering: [AtomicU8; ANSWERING],
}

impl Slot {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            1 => Phase::Starting,
            2 => Phase::Ready,
            3 => Phase::Draining,
            _ => Phase::Free,
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Makes the slot a new worker's: what counted the present is set back, totals go on.
    pub fn begin(&self, generation: u32, now_ms: u64) {
        self.enter(Phase::Starting);
        self.generation.store(generation, Relaxed);
        self.started_ms.store(now_ms, Relaxed);
        self.beat(now_ms);
        self.connections.store(0, Relaxed);
        self.in_flight.store(0, Relaxed);
        self.answering[0].store(0, Relaxed);
    }

    /// The process that the slot is for.
    pub fn belongs_to(&self, pid: i32) {
        self.pid.store(pid, Relaxed);
    }

    /// The serving loop is alive.
    pub fn beat(&self, now_ms: u64) {
        self.heartbeat_ms.store(now_ms, Relaxed);
    }

    pub fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms.load(Relaxed)
    }

    pub fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.connections_total.fetch_add(1, Relaxed);
    }

    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    /// Connections that were ever open, of all workers that had this slot.
    pub fn connections_total(&self) -> u64 {
        self.connections_total.load(Relaxed)
    }

    pub fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// `status` is none where the client left before there was one, `sent` the bytes of the body.
    pub fn request_ended(&self, status: Option<u16>, sent: u64, took: Duration) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.bytes_out.fetch_add(sent, Relaxed);
        if let Some(class) = status.and_then(|status| usize::from(status / 100).checked_sub(1))
            && let Some(count) = self.statuses.get(class)
        {
            count.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.latency[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Requests that have ended, of all workers that had this slot.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub fn guest_failed(&self) {
        self.guest_failures.fetch_add(1, Relaxed);
    }

    /// Notes what a guest is about to be asked.
    pub fn answering(&self, method: &str, path: &str) {
        let text = method.bytes().chain([b' ']).chain(path.bytes());
        let text = text.take(ANSWERING - 1).chain([0]);
        for (cell, byte) in self.answering.iter().zip(text) {
            cell.store(byte, Relaxed);
        }
    }

    /// What a guest was asked last.
    pub fn answered_last(&self) -> String {
        let bytes = self.answering.iter().map(|cell| cell.load(Relaxed));
        let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    #[test]
    fn totals_survive_the_worker_that_made_them() {
        let scoreboard = Scoreboard::new(2).unwrap();
        let slot = scoreboard.slot(1);
        slot.begin(1, 5);
        slot.connection_opened();
        slot.request_began();
        slot.request_ended(Some(200), 10, Duration::from_micros(3));
        slot.begin(2, 9);
        assert_eq!(
            (slot.connections(), slot.in_flight(), slot.requests()),
            (0, 0, 1)
        );
        assert_eq!((slot.phase(), slot.heartbeat_ms()), (Phase::Starting, 9));
        assert_eq!(slot.latency[2].load(Relaxed), 1);
        assert_eq!(scoreboard.slot(0).phase(), Phase::Free);
    }

    #[test]
    fn a_long_request_line_is_cut() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let slot = scoreboard.slot(0);
        slot.answering("GET", &"/x".repeat(200));
        assert_eq!(slot.answered_last().len(), ANSWERING - 1);
        slot.answering("GET", "/");
        assert_eq!(slot.answered_last(), "GET /");
    }
}
