//! A `Slot` is what one worker tells of itself while it serves.

use super::ring::Ring;
use super::totals::{self, GuestFailure, Protocol, Shed, Totals};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

pub const ANSWERING: usize = 112;

/// A `Slot` belongs to one worker. What is read from it is whatever that worker has written: any number may stand
/// anywhere.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Slot {
    pub(super) heartbeat_ms: AtomicU64,
    connections: AtomicU32,
    in_flight: AtomicU32,
    /// This many requests wait for a permit.
    waiting: AtomicU32,
    /// The serving thread was running for this much of the time lately, in thousandths.
    busy: AtomicU32,
    websockets: AtomicU32,
    instances: AtomicU32,
    /// This many of the instances wait for a request.
    pooled: AtomicU32,
    /// The worker has this proportional share of memory, in bytes.
    memory: AtomicU64,
    /// The worker last refused a request for want of room at this time.
    shed_ms: AtomicU64,
    /// This profile was made last, by the number of its request, doubled; it is one more where it could not be made.
    profiled: AtomicU64,
    /// The guest was asked what `answering` says at this time.
    answering_ms: AtomicU64,
    pub(super) totals: Totals,
    /// This request line was handed to a guest last. A reader may see half of two: it is for people's eyes.
    pub(super) answering: [AtomicU8; ANSWERING],
    /// The exporter is to take these spans.
    ring: Ring,
}

/// `Ended` says how one request went.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The request had this one of `METHODS`.
    pub method: usize,
    /// There is no status where the client left before there was one.
    pub status: Option<u16>,
    /// The bodies had this many bytes.
    pub received: u64,
    pub sent: u64,
    pub took: Duration,
    /// Of that time, the client was waited for this long.
    pub client: Duration,
    /// The guest was running for this long; there is no time where it was not asked.
    pub guest: Option<Duration>,
    /// The guest failed it.
    pub failed: bool,
}

impl Slot {
    /// Makes the slot a new worker's: what counts the present is set to zero, totals go on.
    pub(super) fn begin(&self, now_ms: u64) {
        self.beat(now_ms);
        for present in [
            &self.connections,
            &self.in_flight,
            &self.waiting,
            &self.busy,
            &self.websockets,
            &self.instances,
            &self.pooled,
        ] {
            present.store(0, Relaxed);
        }
        for present in [
            &self.memory,
            &self.shed_ms,
            &self.answering_ms,
            &self.profiled,
        ] {
            present.store(0, Relaxed);
        }
        self.answering[0].store(0, Relaxed);
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Notes that the serving loop is alive.
    pub fn beat(&self, now_ms: u64) {
        self.heartbeat_ms.store(now_ms, Relaxed);
    }

    pub fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms.load(Relaxed)
    }

    /// Notes what the worker took since the last time: processor time, and for how much of the time that passed its
    /// serving thread was running.
    pub fn used(&self, cpu: Duration, busy: f64) {
        self.totals.add(totals::CPU, 0, micros(cpu));
        let thousandths = (busy.clamp(0.0, 1.0) * 1000.0) as u32;
        self.busy.store(thousandths, Relaxed);
    }

    /// Notes that the profile of this number is made, or cannot be.
    pub fn has_profiled(&self, number: u32, made: bool) {
        let number = u64::from(number) << 1 | u64::from(!made);
        self.profiled.store(number, Relaxed);
    }

    /// Says whether the profile of this number was made; none where it is not known yet.
    pub fn profiled(&self, number: u32) -> Option<bool> {
        let found = self.profiled.load(Relaxed);
        (found >> 1 == u64::from(number)).then_some(found & 1 == 0)
    }

    /// Returns for how much of the time the serving thread was running lately, from 0 to 1.
    pub fn busy(&self) -> f64 {
        f64::from(self.busy.load(Relaxed).min(1000)) / 1000.0
    }

    pub fn has_memory(&self, bytes: u64) {
        self.memory.store(bytes, Relaxed);
    }

    pub fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    pub fn has_instances(&self, all: u64, pooled: u64) {
        self.instances.store(all as u32, Relaxed);
        self.pooled.store(pooled as u32, Relaxed);
    }

    /// Returns how many instances there are, and how many of them wait for a request.
    pub fn instances(&self) -> (u32, u32) {
        (self.instances.load(Relaxed), self.pooled.load(Relaxed))
    }

    pub fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.totals.add(totals::CONNECTIONS, 0, 1);
    }

    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub fn websocket_opened(&self) {
        self.websockets.fetch_add(1, Relaxed);
    }

    pub fn websocket_closed(&self) {
        self.websockets.fetch_sub(1, Relaxed);
    }

    pub fn websockets(&self) -> u32 {
        self.websockets.load(Relaxed)
    }

    pub fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    /// Returns how many connections were ever open, of all workers that had this slot.
    pub fn connections_total(&self) -> u64 {
        self.totals.value(totals::CONNECTIONS, 0)
    }

    /// Counts a connection by the protocol that it turned out to speak.
    pub fn speaks(&self, protocol: Protocol) {
        self.totals.add(totals::SPOKEN, protocol as usize, 1);
    }

    /// Counts a TLS handshake that is over.
    pub fn shook_hands(&self, succeeded: bool) {
        let outcome = usize::from(!succeeded);
        self.totals.add(totals::HANDSHAKES, outcome, 1);
    }

    pub fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub fn request_ended(&self, ended: &Ended) {
        self.in_flight.fetch_sub(1, Relaxed);
        let totals = &self.totals;
        totals.add(totals::REQUESTS, 0, 1);
        totals.add(totals::BYTES_OUT, 0, ended.sent);
        totals.add(totals::BYTES_IN, 0, ended.received);
        let classes = totals::CLASSES.len();
        let class = ended.status.map_or(0, |status| usize::from(status / 100));
        let class = if class < classes { class } else { 0 };
        let method = ended.method.min(totals::METHODS.len() - 1);
        totals.add(totals::RESPONSES, method * classes + class, 1);
        totals.observe(totals::LATENCY, totals::LATENCY_SUM, micros(ended.took));
        if ended.guest.is_some() || ended.failed {
            let failed = ended.failed || ended.status.is_some_and(|status| status >= 500);
            // How long a client takes says nothing about what answers it.
            let took = ended.took.saturating_sub(ended.client);
            totals.answered(micros(took), failed);
        }
        if let Some(guest) = ended.guest {
            totals.observe(totals::GUEST_TIME, totals::GUEST_TIME_SUM, micros(guest));
        }
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Returns how many requests have ended, of all workers that had this slot.
    pub fn requests(&self) -> u64 {
        self.totals.value(totals::REQUESTS, 0)
    }

    /// Notes that a request begins to wait for a permit.
    pub fn wait_began(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// Notes that a request waits no more, whatever came of it.
    pub fn wait_ended(&self, waited: Duration) {
        self.waiting.fetch_sub(1, Relaxed);
        let totals = &self.totals;
        totals.observe(totals::WAIT, totals::WAIT_SUM, micros(waited));
    }

    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// Notes that a request is refused for want of room.
    pub fn shed(&self, why: Shed, now_ms: u64) {
        self.totals.add(totals::SHED, why as usize, 1);
        self.shed_ms.store(now_ms, Relaxed);
    }

    /// Returns when a request was last refused for want of room; 0 where none was.
    pub fn shed_ms(&self) -> u64 {
        self.shed_ms.load(Relaxed)
    }

    pub fn guest_failed(&self, kind: GuestFailure) {
        self.totals.add(totals::GUEST_FAILURES, kind as usize, 1);
    }

    /// A guest failed a request that is over already: its WebSocket came to nothing.
    pub fn failed_later(&self) {
        self.totals.add(totals::ANSWERS, 1, 1);
    }

    /// Returns how many requests guests failed, of all workers that had this slot.
    pub fn guest_failures(&self) -> u64 {
        let kinds = 0..totals::GUEST_FAILURES.count;
        let values = kinds.map(|kind| self.totals.value(totals::GUEST_FAILURES, kind));
        values.fold(0, u64::wrapping_add)
    }

    /// Notes what a guest is about to be asked.
    pub fn answering(&self, method: &str, path: &str, now_ms: u64) {
        let text = method.bytes().chain([b' ']).chain(path.bytes());
        let text = text.take(ANSWERING - 1).chain([0]);
        for (cell, byte) in self.answering.iter().zip(text) {
            cell.store(byte, Relaxed);
        }
        self.answering_ms.store(now_ms, Relaxed);
    }

    /// Returns what a guest was asked last.
    pub fn answered_last(&self) -> String {
        let bytes = self.answering.iter().map(|cell| cell.load(Relaxed));
        let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Returns when a guest was asked last.
    pub fn answering_ms(&self) -> u64 {
        self.answering_ms.load(Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::{Answers, Scoreboard, WorkerPhase};

    fn ended(method: usize, status: Option<u16>) -> Ended {
        Ended {
            method,
            status,
            received: 5,
            sent: 10,
            took: Duration::from_micros(3),
            client: Duration::ZERO,
            guest: Some(Duration::from_micros(1)),
            failed: false,
        }
    }

    /// Two versions are compared by what their guests did: what the server itself refused is no answer of a guest.
    #[test]
    fn answers_of_guests_are_told_from_those_of_the_server() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let slot = scoreboard.slot(0);
        let by_server = Ended {
            guest: None,
            ..ended(0, Some(503))
        };
        let broken_off = Ended {
            failed: true,
            ..ended(0, Some(200))
        };
        let all = [ended(0, Some(200)), ended(0, Some(502)), ended(0, None)];
        for one in all.iter().chain([&by_server, &broken_off]) {
            slot.request_ended(one);
        }
        let answers = Answers::of(&slot.totals);
        assert_eq!((answers.count, answers.failed, answers.timed()), (4, 2, 4));
        let slow_client = Ended {
            took: Duration::from_secs(60),
            client: Duration::from_secs(59),
            ..ended(0, Some(200))
        };
        slot.request_ended(&slow_client);
        let longest = Answers::of(&slot.totals).quantile(1.0).unwrap();
        assert!(longest < 2e6, "{longest}");
    }

    #[test]
    fn totals_survive_the_worker_that_made_them() {
        let scoreboard = Scoreboard::new(2).unwrap();
        let slot = scoreboard.slot(1);
        scoreboard.begin(1, 1, 5);
        slot.connection_opened();
        slot.request_began();
        slot.request_ended(&ended(0, Some(200)));
        scoreboard.begin(1, 2, 9);
        assert_eq!(
            (slot.connections(), slot.in_flight(), slot.requests()),
            (0, 0, 1)
        );
        let phase = |index| scoreboard.entry(index).phase();
        assert_eq!((phase(1), slot.heartbeat_ms()), (WorkerPhase::Starting, 9));
        assert_eq!(slot.totals.value(totals::LATENCY, 2), 1);
        assert_eq!(slot.totals.value(totals::LATENCY_SUM, 0), 3);
        assert_eq!(slot.totals.value(totals::GUEST_TIME, 1), 1);
        assert_eq!(phase(0), WorkerPhase::Free);
        // What this worker has answered is told from what others before it have.
        assert_eq!(scoreboard.entry(1).requests_before(), 1);
    }

    #[test]
    fn requests_are_counted_by_method_and_class() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let slot = scoreboard.slot(0);
        let counted = |method, class| slot.totals.value(totals::RESPONSES, method * 6 + class);
        for (method, status, class) in [
            (0, Some(204), 2),
            (2, Some(503), 5),
            (8, None, 0),
            (3, Some(999), 0),
        ] {
            slot.request_began();
            slot.request_ended(&ended(method, status));
            assert_eq!(counted(method, class), 1);
        }
        assert_eq!(slot.totals.value(totals::REQUESTS, 0), 4);
        assert_eq!(slot.in_flight(), 0);
    }

    #[test]
    fn a_long_request_line_is_cut() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let slot = scoreboard.slot(0);
        slot.answering("GET", &"/x".repeat(200), 7);
        assert_eq!(slot.answered_last().len(), ANSWERING - 1);
        slot.answering("GET", "/", 8);
        assert_eq!(
            (slot.answered_last().as_str(), slot.answering_ms()),
            ("GET /", 8)
        );
    }
}
