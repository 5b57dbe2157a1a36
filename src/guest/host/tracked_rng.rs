//! `TrackedRng` notes whether a guest has asked for random bytes: what it has drawn before a snapshot, every instance
//! would have in common.

use rand::TryRng;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// `TrackedRng` is a source of randomness, the same as guests have elsewhere, that remembers whether it was used.
#[derive(Clone, Default)]
pub struct TrackedRng(Arc<AtomicBool>);

impl TrackedRng {
    pub fn was_used(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn note(&self) {
        self.0.store(true, Relaxed);
    }
}

impl TryRng for TrackedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.note();
        rand::rng().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.note();
        rand::rng().try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.note();
        rand::rng().try_fill_bytes(bytes)
    }
}
