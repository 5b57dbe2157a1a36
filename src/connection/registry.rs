//! The registry has the connections of one worker, for when there is no room for another: the one that has been idle
//! for longest goes.

use super::activity::Activity;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Default)]
pub struct ConnectionRegistry {
    listed: Rc<RefCell<HashMap<u64, Rc<Activity>>>>,
    next: Cell<u64>,
}

/// A `Registration` keeps a connection on the list until it is dropped.
pub struct Registration {
    listed: Rc<RefCell<HashMap<u64, Rc<Activity>>>>,
    number: u64,
}

impl ConnectionRegistry {
    pub(super) fn list(&self, activity: &Rc<Activity>) -> Registration {
        let number = self.next.get();
        self.next.set(number + 1);
        self.listed.borrow_mut().insert(number, activity.clone());
        Registration {
            listed: self.listed.clone(),
            number,
        }
    }

    /// Closes the connection that has been idle for longest; whether there is one.
    pub fn dismiss(&self) -> bool {
        let listed = self.listed.borrow();
        let idle = listed.values().filter_map(|activity| {
            let since = activity.idle_since()?;
            Some((since, activity))
        });
        let idlest = idle.min_by_key(|(since, _)| *since);
        idlest.map(|(_, activity)| activity.dismiss()).is_some()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.listed.borrow_mut().remove(&self.number);
    }
}
