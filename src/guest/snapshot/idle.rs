//! `IdleMemory` puts away the memory of an instance that waits for long, until it runs again.

use super::Restorer;
use super::memory::Regions;
use crate::sys::region::PutAway;
use std::sync::Arc;

/// `IdleMemory` has the memories of one instance. The future that runs the instance is handed to each call: whoever has
/// it to himself knows that the instance does not run meanwhile.
pub struct IdleMemory {
    restorer: Arc<Restorer>,
    regions: Regions,
    /// What was put away of each memory; none where all is where it belongs.
    kept: Vec<PutAway>,
}

impl IdleMemory {
    pub(super) fn new(restorer: Arc<Restorer>, regions: Regions) -> IdleMemory {
        IdleMemory {
            restorer,
            regions,
            kept: Vec::new(),
        }
    }

    /// Puts away what the instance has changed. The future is not polled before it is brought back.
    pub fn put_away(&mut self, running: &mut impl Future) {
        self.bring_back(running);
        let Restorer {
            snapshot,
            dirty_pages,
            ..
        } = &*self.restorer;
        self.kept = self.regions.put_away(running, snapshot, dirty_pages);
    }

    /// Says whether anything is put away.
    pub fn is_put_away(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Brings back what was put away, if anything was.
    pub fn bring_back(&mut self, running: &mut impl Future) {
        let kept = std::mem::take(&mut self.kept);
        self.regions.bring_back(running, &kept);
    }
}
