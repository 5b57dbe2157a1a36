//! A request has a `Lease` of the concurrent instance that answers it. An instance of which a request was given up has
//! none after it.

use super::{ConcurrentInstance, LostInstance};
use crate::guest::failure::Failure;
use crate::guest::schedule::task_budget::TaskBudget;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// A `Lease` is a request's hold on the instance that answers it, until the answer is over.
pub struct Lease {
    pub(super) instance: Rc<ConcurrentInstance>,
    budget: Arc<TaskBudget>,
    pub(super) is_answered: bool,
}

impl Lease {
    pub(super) fn new(instance: Rc<ConcurrentInstance>, budget: Arc<TaskBudget>) -> Lease {
        instance.open.set(instance.open.get() + 1);
        Lease {
            instance,
            budget,
            is_answered: false,
        }
    }

    /// Says why the instance is gone.
    pub(super) fn failure(&self) -> Failure {
        if self.budget.is_exhausted() {
            return Failure::OutOfTime;
        }
        match self.instance.lost.borrow().clone() {
            Some(LostInstance::NoRoom) => Failure::NoRoom,
            Some(LostInstance::Failed(why)) => Failure::Lost(why),
            None => Failure::Lost("it was ended".to_owned()),
        }
    }

    /// Says why the instance is gone, if it is.
    pub fn lost(&self) -> Option<Failure> {
        self.instance
            .lost
            .borrow()
            .is_some()
            .then(|| self.failure())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let instance = &self.instance;
        self.budget.close();
        instance.open.set(instance.open.get() - 1);
        instance.rests.set(Instant::now());
        if !self.is_answered {
            // Nobody can make a guest stop answering one request and go on with the others.
            instance.closed.set(true);
        }
        instance.wake();
    }
}
