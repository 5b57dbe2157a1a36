//! What one request has of the processor: its budget, its turns, and whether it has failed meanwhile.

use super::cpu_budget::CpuBudget;
use super::scheduler::{Scheduler, TimeSlice};
use crate::guest::failure::Failure;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A guest's share of the processor.
pub struct CpuShare {
    pub budget: CpuBudget,
    pub slice: TimeSlice,
    /// Why it has failed.
    failure: Mutex<Option<Failure>>,
}

impl CpuShare {
    pub fn new(cpu: Duration, scheduler: &Scheduler) -> Arc<CpuShare> {
        Arc::new(CpuShare {
            budget: CpuBudget::new(cpu),
            slice: TimeSlice::new(scheduler),
            failure: Mutex::default(),
        })
    }

    /// Says that the guest has failed, and keeps what there is of it: the part of its answer that it has handed over
    /// is only in its instance as yet.
    pub async fn fail(&self, failure: Failure) -> Result<(), Failure> {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        std::future::pending().await
    }

    /// Takes the failure, once.
    pub fn failure(&self) -> Option<Failure> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    /// For a guest that has no neighbours.
    pub fn unlimited() -> Arc<CpuShare> {
        CpuShare::new(Duration::MAX, &Scheduler::default())
    }
}
