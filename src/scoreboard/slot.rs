//! One worker's slot: what it tells of itself while it serves.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

/// Buckets of the latency histogram: bucket `n` counts requests of less than 2^n microseconds.
pub const BUCKETS: usize = 32;

/// Classes of statuses.
pub const CLASSES: usize = 5;

pub const ANSWERING: usize = 112;

/// The names of the totals among executables.
pub const CONNECTIONS: &str = "connections";
pub const REQUESTS: &str = "requests";
pub const STATUSES: &str = "statuses";
pub const GUEST_FAILURES: &str = "guest_failures";
pub const BYTES_OUT: &str = "bytes_out";
pub const LATENCY: &str = "latency";

/// One worker's slot. What is read from it is whatever its worker has written: any number may stand anywhere.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Slot {
    pub(super) heartbeat_ms: AtomicU64,
    connections: AtomicU32,
    in_flight: AtomicU32,
    pub(super) connections_total: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) statuses: [AtomicU64; CLASSES],
    pub(super) guest_failures: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) latency: [AtomicU64; BUCKETS],
    /// The request line that was handed to a guest last. A reader may see half of two: it is for
    /// people's eyes.
    pub(super) answering: [AtomicU8; ANSWERING],
}

impl Slot {
    /// Makes the slot a new worker's: what counted the present is set back, totals go on.
    pub(super) fn begin(&self, now_ms: u64) {
        self.beat(now_ms);
        self.connections.store(0, Relaxed);
        self.in_flight.store(0, Relaxed);
        self.answering[0].store(0, Relaxed);
    }

    /// Adds to a total, or to one of its buckets. One that is not known by this name here counts nothing.
    pub(super) fn add(&self, name: &str, bucket: usize, more: u64) {
        let one = std::slice::from_ref;
        let total = match name {
            CONNECTIONS => one(&self.connections_total),
            REQUESTS => one(&self.requests),
            STATUSES => &self.statuses,
            GUEST_FAILURES => one(&self.guest_failures),
            BYTES_OUT => one(&self.bytes_out),
            LATENCY => &self.latency,
            _ => &[],
        };
        if let Some(total) = total.get(bucket) {
            total.fetch_add(more, Relaxed);
        }
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
    use crate::scoreboard::{Phase, Scoreboard};

    #[test]
    fn totals_survive_the_worker_that_made_them() {
        let scoreboard = Scoreboard::new(2).unwrap();
        let slot = scoreboard.slot(1);
        scoreboard.begin(1, 1, 5);
        slot.connection_opened();
        slot.request_began();
        slot.request_ended(Some(200), 10, Duration::from_micros(3));
        scoreboard.begin(1, 2, 9);
        assert_eq!(
            (slot.connections(), slot.in_flight(), slot.requests()),
            (0, 0, 1)
        );
        let phase = |index| scoreboard.entry(index).phase();
        assert_eq!((phase(1), slot.heartbeat_ms()), (Phase::Starting, 9));
        assert_eq!(slot.latency[2].load(Relaxed), 1);
        assert_eq!(phase(0), Phase::Free);
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
