//! A `CanaryCell` has what the supervisor says about a canary: which version is compared with the one that is served,
//! and by what.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

/// `CanaryFigures` says how the canary is that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CanaryFigures {
    pub generation: u32,
    /// There are this many workers for it.
    pub workers: u32,
    /// The canary's time is over, and there was too little to judge it by.
    pub is_waiting: bool,
    /// The canary has run for this long.
    pub elapsed_ms: u64,
    /// The canary is to run for this long.
    pub time_ms: u64,
    pub old: VersionFigures,
    pub new: VersionFigures,
}

/// `VersionFigures` says what one version has answered since the canary began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionFigures {
    pub requests: u64,
    pub failed: u64,
    /// 99 of 100 requests took no longer; it is 0 where there was none.
    pub p99_us: u64,
}

/// A `CanaryCell` has `CanaryFigures` in shared memory.
#[derive(Debug)]
#[repr(C)]
pub struct CanaryCell {
    generation: AtomicU32,
    workers: AtomicU32,
    waits: AtomicBool,
    elapsed_ms: AtomicU64,
    time_ms: AtomicU64,
    versions: [[AtomicU64; 3]; 2],
}

impl CanaryCell {
    pub fn write(&self, canary: Option<CanaryFigures>) {
        let figures = canary.unwrap_or_default();
        self.workers.store(figures.workers, Relaxed);
        self.waits.store(figures.is_waiting, Relaxed);
        self.elapsed_ms.store(figures.elapsed_ms, Relaxed);
        self.time_ms.store(figures.time_ms, Relaxed);
        for (cells, version) in self.versions.iter().zip([figures.old, figures.new]) {
            let numbers = [version.requests, version.failed, version.p99_us];
            for (cell, number) in cells.iter().zip(numbers) {
                cell.store(number, Relaxed);
            }
        }
        self.generation.store(figures.generation, Relaxed);
    }

    /// Says how long the canary is to run; none where no canary runs.
    pub fn time(&self) -> Option<Duration> {
        let runs = self.generation.load(Relaxed) > 0;
        runs.then(|| Duration::from_millis(self.time_ms.load(Relaxed)))
    }

    /// Returns none where no canary runs.
    pub fn read(&self) -> Option<CanaryFigures> {
        let generation = self.generation.load(Relaxed);
        let [old, new] = self.versions.each_ref().map(|cells| {
            let [requests, failed, p99_us] = cells.each_ref().map(|cell| cell.load(Relaxed));
            VersionFigures {
                requests,
                failed,
                p99_us,
            }
        });
        (generation > 0).then(|| CanaryFigures {
            generation,
            workers: self.workers.load(Relaxed),
            is_waiting: self.waits.load(Relaxed),
            elapsed_ms: self.elapsed_ms.load(Relaxed),
            time_ms: self.time_ms.load(Relaxed),
            old,
            new,
        })
    }
}
