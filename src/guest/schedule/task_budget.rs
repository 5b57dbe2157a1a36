//! What each of the requests burns that one instance answers at the same time. Which of them it runs for is
//! asked whenever the clock interrupts it, and what it has burned since then is put to that one's account.

use crate::guest::failure::Exhausted;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use wasmtime::component::GuestTaskId;

/// One request's.
pub struct TaskBudget {
    limit: Duration,
    /// In nanoseconds.
    spent: AtomicU64,
    closed: AtomicBool,
}

impl TaskBudget {
    pub fn new(limit: Duration) -> TaskBudget {
        TaskBudget {
            limit,
            spent: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub fn is_exhausted(&self) -> bool {
        Duration::from_nanos(self.spent.load(Relaxed)) >= self.limit
    }

    /// The request is over.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }
}

/// Those of one instance, each with the task that answers it.
#[derive(Default)]
pub struct TaskBudgets(Vec<(GuestTaskId, Arc<TaskBudget>)>);

impl TaskBudgets {
    /// Opens one; whether it is the only one.
    pub fn open(&mut self, task: GuestTaskId, budget: Arc<TaskBudget>) -> bool {
        self.0.retain(|(_, known)| !known.closed.load(Relaxed));
        self.0.push((task, budget));
        self.0.len() == 1
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts down what was burned for this task.
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
