//! What the supervisor says about each worker, and about the server: written by it alone.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64};

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

/// What comes before the entries.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Table {
    /// Whether the server is about to stop taking connections.
    withdrawn: AtomicBool,
}

impl Table {
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Relaxed);
    }

    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Relaxed)
    }
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

    pub(super) fn begin(&self, generation: u32, now_ms: u64) {
        self.pid.store(0, Relaxed);
        self.generation.store(generation, Relaxed);
        self.started_ms.store(now_ms, Relaxed);
        self.enter(Phase::Starting);
    }

    /// The process that the slot is for.
    pub fn belongs_to(&self, pid: i32) {
        self.pid.store(pid, Relaxed);
    }
}
