//! The list has the connections of one worker, for when there is no room for another.

use super::activity::Activity;
use super::eviction::{self, Candidate};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

#[derive(Default)]
pub struct ConnectionList {
    listed: Rc<RefCell<HashMap<u64, ListedConnection>>>,
    next: Cell<u64>,
}

/// A connection is `ListedConnection` with whose it is, as far as that is known and they can be told apart.
struct ListedConnection {
    activity: Rc<Activity>,
    who: Option<IpAddr>,
}

/// A `Registration` keeps a connection on the list until it is dropped.
pub struct Registration {
    listed: Rc<RefCell<HashMap<u64, ListedConnection>>>,
    number: u64,
}

impl ConnectionList {
    pub(super) fn add(&self, activity: &Rc<Activity>) -> Registration {
        let number = self.next.get();
        self.next.set(number + 1);
        let listed = ListedConnection {
            activity: activity.clone(),
            who: None,
        };
        self.listed.borrow_mut().insert(number, listed);
        Registration {
            listed: self.listed.clone(),
            number,
        }
    }

    /// Closes the connection that is missed least; whether there is one.
    pub fn evict(&self) -> bool {
        let listed = self.listed.borrow();
        let (candidates, activities): (Vec<_>, Vec<_>) = listed
            .values()
            .map(|ListedConnection { activity, who }| {
                let why = activity.evictable();
                (Candidate { who: *who, why }, activity)
            })
            .unzip();
        let chosen = eviction::choose(&candidates, Instant::now());
        chosen.map(|index| activities[index].evict()).is_some()
    }
}

impl Registration {
    /// Notes whose connection it is.
    pub fn belongs_to(&self, who: Option<IpAddr>) {
        if let Some(listed) = self.listed.borrow_mut().get_mut(&self.number) {
            listed.who = who;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.listed.borrow_mut().remove(&self.number);
    }
}
