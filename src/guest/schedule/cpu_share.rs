//! A `CpuShare` is what one request has of the processor: its budget and its time slices. It also keeps the reason
//! when the guest fails.

use super::cpu_budget::CpuBudget;
use super::scheduler::{Scheduler, TimeSlice};
use crate::guest::failure::Failure;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A `CpuShare` belongs to one request.
pub struct CpuShare {
    pub budget: CpuBudget,
    pub slice: TimeSlice,
    /// The guest has failed for this reason.
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

    /// Keeps the reason why the guest has failed, and never resolves: the part of its answer that it has handed over
    /// is still in its instance, which must not be dropped yet.
    pub async fn fail(&self, failure: Failure) -> Result<(), Failure> {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        std::future::pending().await
    }

    /// Takes the reason why the guest has failed, once.
    pub fn failure(&self) -> Option<Failure> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    /// Makes a share without bounds, for a guest that has no neighbours.
    pub fn unlimited() -> Arc<CpuShare> {
        CpuShare::new(Duration::MAX, &Scheduler::default())
    }
}
