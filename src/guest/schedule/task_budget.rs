//! A `TaskBudget` counts what one of several requests uses that an instance answers at the same time. The epoch
//! thread's interruptions ask which of them the instance is running for, and the time since the last one is counted
//! for that request.

use crate::guest::failure::Exhausted;
use crate::trace::Trace;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use wasmtime::component::GuestTaskId;

/// A `TaskBudget` counts for one request.
pub struct TaskBudget {
    limit: Duration,
    /// The request belongs to this trace, if any.
    trace: Option<Arc<Trace>>,
    /// The request has used this many nanoseconds.
    spent: AtomicU64,
    closed: AtomicBool,
}

impl TaskBudget {
    pub fn new(limit: Duration, trace: Option<Arc<Trace>>) -> TaskBudget {
        TaskBudget {
            limit,
            trace,
            spent: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub fn is_exhausted(&self) -> bool {
        Duration::from_nanos(self.spent.load(Relaxed)) >= self.limit
    }

    /// Notes that the request is over.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }
}

/// `TaskBudgets` holds the budgets of one instance, each with the task that answers the request.
#[derive(Default)]
pub struct TaskBudgets(Vec<(GuestTaskId, Arc<TaskBudget>)>);

impl TaskBudgets {
    /// Adds a budget, and says whether it is the only one.
    pub fn open(&mut self, task: GuestTaskId, budget: Arc<TaskBudget>) -> bool {
        self.0.retain(|(_, known)| !known.closed.load(Relaxed));
        self.0.push((task, budget));
        self.0.len() == 1
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the trace of the request that this task answers.
    pub fn trace(&self, task: GuestTaskId) -> Option<Arc<Trace>> {
        let (_, budget) = self.0.iter().find(|(known, _)| *known == task)?;
        budget.trace.clone()
    }

    /// Counts the time that was used for this task, and fails where its budget is used up.
    pub fn charge(&self, task: GuestTaskId, burned: Duration) -> Result<(), Exhausted> {
        let Some((_, budget)) = self.0.iter().find(|(known, _)| *known == task) else {
            return Ok(());
        };
        let nanos = u64::try_from(burned.as_nanos()).unwrap_or(u64::MAX);
        budget.spent.fetch_add(nanos, Relaxed);
        match budget.is_exhausted() {
            true => Err(Exhausted),
            false => Ok(()),
        }
    }
}
