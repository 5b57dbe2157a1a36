//! Admission says who may be answered now, who waits, and who is turned away: it bounds what one worker does at a
//! time, and shares it among clients where it is short.
//!
//! It is our own, as a semaphore has no clients: it does not know who waits, who has too much, and who is put out.

use super::client_progress::ClientProgress;
use super::share::{ClientKey, Share};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

/// Where others wait for a permit, it is taken from clients that are behind by this much.
const BEHIND: Duration = Duration::from_secs(2);

/// Permits of such clients are looked for this often.
const LOOK: Duration = Duration::from_millis(100);

/// This many clients are remembered before those that are gone are forgotten.
const CLIENTS: usize = 4096;

/// `Admission` is a bounded number of permits with a bounded queue before them.
#[derive(Clone)]
pub struct Admission(Rc<Inner>);

struct Inner {
    permits: usize,
    queue: usize,
    wait: Duration,
    /// The last quarter is kept from every client, also while there is no other: who has a permit may keep it.
    keeps: bool,
    held: Cell<usize>,
    waiting: Cell<usize>,
    /// Tells tickets apart, and which came first.
    tickets: Cell<u64>,
    clients: RefCell<HashMap<ClientKey, Rc<Share>>>,
    /// All clients that cannot be told apart have this share.
    nobody: Rc<Share>,
    /// Each of these clients has a request that waits.
    queues: RefCell<Vec<Rc<Share>>>,
    /// Each permit is held by one of these, or free.
    occupied: RefCell<Vec<Option<Occupant>>>,
    free: RefCell<Vec<usize>>,
    /// Somebody looks for permits of clients that do not keep up.
    looks: Cell<bool>,
    rests: Notify,
}

/// An `Occupant` is an exchange, and the share that its permit is of.
type Occupant = (Rc<ClientProgress>, Rc<Share>);

/// A `Waiter` has a place in the queue.
pub struct Waiter {
    number: u64,
    progress: Rc<ClientProgress>,
    outcome: oneshot::Sender<Result<Permit, Rejected>>,
}

/// The right to be answered; the permit is free again when it is dropped.
pub struct Permit {
    inner: Rc<Inner>,
    share: Rc<Share>,
    index: usize,
}

/// `Rejected` says why a request was turned away.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected {
    /// As many requests wait already as may, or as the client may have waiting.
    Queue,
    /// The request waited as long as it may.
    Wait,
}

impl Admission {
    pub fn new(permits: usize, queue: usize, wait: Duration) -> Admission {
        Admission::of(permits, queue, wait, false)
    }

    /// Makes an admission for what may last for days: nobody waits for another's end, and no client has all.
    pub fn lasting(permits: usize) -> Admission {
        Admission::of(permits, 0, Duration::ZERO, true)
    }

    fn of(permits: usize, queue: usize, wait: Duration, keeps: bool) -> Admission {
        Admission(Rc::new(Inner {
            permits,
            queue,
            wait,
            keeps,
            held: Cell::new(0),
            waiting: Cell::new(0),
            tickets: Cell::new(0),
            clients: RefCell::default(),
            nobody: Share::new(None),
            queues: RefCell::default(),
            occupied: RefCell::default(),
            free: RefCell::default(),
            looks: Cell::new(false),
            rests: Notify::new(),
        }))
    }

    /// Takes a permit: in the order of asking, but that of those who wait the client comes first that has the fewest.
    pub async fn enter(
        &self,
        who: Option<ClientKey>,
        progress: &Rc<ClientProgress>,
    ) -> Result<Permit, Rejected> {
        let inner = &self.0;
        let share = inner.share(who);
        if inner.has_room() && share.waiting.borrow().is_empty() && inner.may(&share) {
            return Ok(inner.grant(share, progress.clone()));
        }
        if inner.waiting.get() >= inner.queue && !inner.displace(&share) {
            return Err(Rejected::Queue);
        }
        let (outcome, waiting) = oneshot::channel();
        let _place = inner.queue(&share, progress, outcome);
        inner.look();
        match tokio::time::timeout(inner.wait, waiting).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(Rejected::Wait),
        }
    }

    /// Resolves when every permit is free.
    pub async fn idle(&self) {
        while self.0.held.get() > 0 {
            self.0.rests.notified().await;
        }
    }
}

impl Inner {
    fn share(&self, who: Option<ClientKey>) -> Rc<Share> {
        let Some(who) = who else {
            return self.nobody.clone();
        };
        let now = Instant::now();
        let mut clients = self.clients.borrow_mut();
        if clients.len() >= CLIENTS && !clients.contains_key(&who) {
            clients.retain(|_, share| share.is_present(now));
        }
        let share = clients.entry(who).or_insert_with(|| Share::new(Some(who)));
        share.see(now);
        share.clone()
    }

    fn has_room(&self) -> bool {
        self.held.get() < self.permits
    }

    /// Says whether a client may have one permit more: no one has the last quarter while there are others.
    fn may(&self, share: &Rc<Share>) -> bool {
        let most = (self.permits - self.permits / 4)
            .min(self.permits.saturating_sub(1))
            .max(1);
        share.held() < most || !self.keeps && !self.has_others(share)
    }

    fn has_others(&self, share: &Rc<Share>) -> bool {
        let now = Instant::now();
        let clients = self.clients.borrow();
        let mut others = clients.values().filter(|other| !Rc::ptr_eq(other, share));
        others.any(|other| other.is_present(now))
    }

    fn grant(self: &Rc<Self>, share: Rc<Share>, progress: Rc<ClientProgress>) -> Permit {
        self.held.set(self.held.get() + 1);
        share.take();
        let occupant = Some((progress, share.clone()));
        let mut occupied = self.occupied.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                occupied[index] = occupant;
                index
            }
            None => {
                occupied.push(occupant);
                occupied.len() - 1
            }
        };
        Permit {
            inner: self.clone(),
            share,
            index,
        }
    }

    fn queue(
        self: &Rc<Self>,
        share: &Rc<Share>,
        progress: &Rc<ClientProgress>,
        outcome: oneshot::Sender<Result<Permit, Rejected>>,
    ) -> QueueEntry {
        let number = self.tickets.get();
        self.tickets.set(number + 1);
        self.waiting.set(self.waiting.get() + 1);
        if share.waiting.borrow().is_empty() {
            self.queues.borrow_mut().push(share.clone());
        }
        share.waiting.borrow_mut().push_back(Waiter {
            number,
            progress: progress.clone(),
            outcome,
        });
        QueueEntry {
            inner: self.clone(),
            share: share.clone(),
            number,
        }
    }

    /// Turns away the last of whoever has the most waiting, where that is more than this client has.
    fn displace(&self, share: &Rc<Share>) -> bool {
        let queues = self.queues.borrow();
        let many = queues.iter().filter(|other| other.is_somebody());
        let most = many.max_by_key(|other| other.waiting.borrow().len());
        let Some(most) = most.filter(|_| share.is_somebody()) else {
            return false;
        };
        let mine = share.waiting.borrow().len();
        if most.waiting.borrow().len() <= mine + 1 {
            return false;
        }
        // Its place notices by itself.
        let last = most.waiting.borrow_mut().pop_back();
        let last = last.map(|ticket| ticket.outcome.send(Err(Rejected::Queue)));
        last.is_some()
    }

    /// Gives free permits to those who wait.
    fn admit_next(self: &Rc<Self>) {
        while self.has_room() {
            let Some((share, ticket)) = self.next() else {
                return;
            };
            let permit = self.grant(share, ticket.progress);
            // Who no longer waits gives it back, and this goes on.
            let _ = ticket.outcome.send(Ok(permit));
        }
    }

    /// Finds who is next: of the clients that may, the one with the fewest permits; of those, who came first.
    fn next(&self) -> Option<(Rc<Share>, Waiter)> {
        let mut queues = self.queues.borrow_mut();
        queues.retain(|share| !share.waiting.borrow().is_empty());
        let may = queues.iter().filter(|share| self.may(share));
        let first = |share: &&Rc<Share>| {
            let first = share.waiting.borrow().front().map(|ticket| ticket.number);
            (share.held(), first)
        };
        let share = may.min_by_key(first)?.clone();
        drop(queues);
        let ticket = share.waiting.borrow_mut().pop_front()?;
        Some((share, ticket))
    }

    /// Sees to it, as long as somebody waits, that permits are not held by clients that do not keep up.
    fn look(self: &Rc<Self>) {
        if self.looks.replace(true) {
            return;
        }
        let inner = self.clone();
        spawn_local(async move {
            while inner.waiting.get() > 0 {
                tokio::time::sleep(LOOK).await;
                inner.admit_next();
                inner.evict(Instant::now());
            }
            inner.looks.set(false);
        });
    }

    /// Ends as many exchanges as others wait for, those first whose clients have the most, and are furthest behind.
    fn evict(&self, now: Instant) {
        let mut slow: Vec<(usize, Duration, Rc<ClientProgress>)> = Vec::new();
        let mut ending = 0;
        for (progress, share) in self.occupied.borrow().iter().flatten() {
            let behind = progress.behind(now);
            if progress.is_evicted() {
                ending += 1;
            } else if behind >= BEHIND {
                slow.push((share.held(), behind, progress.clone()));
            }
        }
        slow.sort_by_key(|(held, behind, _)| std::cmp::Reverse((*held, *behind)));
        let wanted = self.waiting.get().saturating_sub(ending);
        for (_, _, progress) in slow.into_iter().take(wanted) {
            progress.evict();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &self.inner;
        inner.held.set(inner.held.get() - 1);
        self.share.give_back();
        inner.occupied.borrow_mut()[self.index] = None;
        inner.free.borrow_mut().push(self.index);
        if inner.waiting.get() > 0 {
            inner.admit_next();
        }
        if inner.held.get() == 0 {
            inner.rests.notify_one();
        }
    }
}

/// A `QueueEntry` in the queue is given up however the waiting ends.
struct QueueEntry {
    inner: Rc<Inner>,
    share: Rc<Share>,
    number: u64,
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        self.inner.waiting.set(self.inner.waiting.get() - 1);
        let mut waiting = self.share.waiting.borrow_mut();
        let ticket = waiting
            .iter()
            .position(|ticket| ticket.number == self.number);
        let ticket = ticket.and_then(|index| waiting.remove(index));
        drop(waiting);
        drop(ticket);
    }
}

#[cfg(test)]
mod tests;
