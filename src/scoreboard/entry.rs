//! What the supervisor says about each worker: written by it alone.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64};

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

/// One worker's entry.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Entry {
    /// The process that has the slot, or had it last, and the version that it serves.
    pid: AtomicI32,
    generation: AtomicU32,
    /// When it was forked, in milliseconds of `sys::clock`.
    started_ms: AtomicU64,
    /// What the slot's totals were at that time.
    requests_before: AtomicU64,
    failures_before: AtomicU64,
    phase: AtomicU8,
}

impl Entry {
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

    /// Makes it a new worker's, of a slot that has counted so many requests and failures.
    pub(super) fn begin(&self, generation: u32, now_ms: u64, requests: u64, failures: u64) {
        self.pid.store(0, Relaxed);
        self.generation.store(generation, Relaxed);
        self.started_ms.store(now_ms, Relaxed);
        self.requests_before.store(requests, Relaxed);
        self.failures_before.store(failures, Relaxed);
        self.enter(Phase::Starting);
    }

    /// The process that the slot is for.
    pub fn belongs_to(&self, pid: i32) {
        self.pid.store(pid, Relaxed);
    }

    pub fn pid(&self) -> i32 {
        self.pid.load(Relaxed)
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// When it was forked, in milliseconds of `sys::clock`.
    pub fn started_ms(&self) -> u64 {
        self.started_ms.load(Relaxed)
    }

    /// Requests that the slot had counted before this worker had it.
    pub fn requests_before(&self) -> u64 {
        self.requests_before.load(Relaxed)
    }

    pub fn failures_before(&self) -> u64 {
        self.failures_before.load(Relaxed)
    }
}
