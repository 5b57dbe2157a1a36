//! An `Entry` is what the supervisor, which alone writes it, says about one worker.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64};

/// A `WorkerPhase` says where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WorkerPhase {
    /// The slot has no worker.
    Free = 0,
    Starting = 1,
    Ready = 2,
    /// The worker takes no more connections.
    Draining = 3,
}

/// An `Entry` is about one worker.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Entry {
    /// This process has the slot, or had it last, and serves this version.
    pid: AtomicI32,
    generation: AtomicU32,
    /// The worker was forked at this time, in milliseconds of `sys::clock`.
    started_ms: AtomicU64,
    /// The slot's totals were these when the worker was forked.
    requests_before: AtomicU64,
    failures_before: AtomicU64,
    phase: AtomicU8,
}

impl Entry {
    pub fn phase(&self) -> WorkerPhase {
        match self.phase.load(Relaxed) {
            1 => WorkerPhase::Starting,
            2 => WorkerPhase::Ready,
            3 => WorkerPhase::Draining,
            _ => WorkerPhase::Free,
        }
    }

    pub fn enter(&self, phase: WorkerPhase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Makes the entry a new worker's, in a slot that has counted this many requests and failures.
    pub(super) fn begin(&self, generation: u32, now_ms: u64, requests: u64, failures: u64) {
        self.pid.store(0, Relaxed);
        self.generation.store(generation, Relaxed);
        self.started_ms.store(now_ms, Relaxed);
        self.requests_before.store(requests, Relaxed);
        self.failures_before.store(failures, Relaxed);
        self.enter(WorkerPhase::Starting);
    }

    /// Notes the process that the slot is for.
    pub fn belongs_to(&self, pid: i32) {
        self.pid.store(pid, Relaxed);
    }

    pub fn pid(&self) -> i32 {
        self.pid.load(Relaxed)
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Returns when the worker was forked, in milliseconds of `sys::clock`.
    pub fn started_ms(&self) -> u64 {
        self.started_ms.load(Relaxed)
    }

    /// Returns how many requests the slot had counted before this worker had it.
    pub fn requests_before(&self) -> u64 {
        self.requests_before.load(Relaxed)
    }

    pub fn failures_before(&self) -> u64 {
        self.failures_before.load(Relaxed)
    }
}
