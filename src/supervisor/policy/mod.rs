//! The policy says what the supervisor does about what happens: it is a pure function of its state, an event and the
//! time. It forks nothing, kills nothing and writes nothing; it says what is to be done.
//!
//! It is our own, as this is the product: crates for supervision manage threads or tasks, not forked processes with
//! sockets, versions and a handover.

mod attempt;
mod canary;
mod condition;
mod ends;
mod events;
mod handover;
mod health;
mod idle;
mod load;
mod reason;
mod reconcile;
mod reload;
mod report;
mod schedule;
mod stop;
#[cfg(test)]
mod tests;
mod upgrade;
mod worker;

pub use condition::Condition;
pub use ends::Death;
pub use events::{Action, Event};
pub use handover::{Inherited, InheritedState};
pub use health::HealthReading;
pub use idle::ConnectionCounts;
pub use load::WorkerLoad;
pub use report::{Incident, Report};
pub use schedule::Schedule;
pub use worker::Id;

use super::backoff::Backoff;
use super::settings::Settings;
use crate::channel::WorkerRange;
use crate::exit::Status;
use crate::log::Level;
use idle::Idle;
use load::Trend;
use reason::Reason;
use reload::Reload;
use std::collections::BTreeMap;
use std::time::Instant;
use stop::ServerMode;
use upgrade::Upgrade;
use worker::{Worker, WorkerState};

/// A `Capacity` says what there is room for.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// This many workers may be asked for.
    pub most: usize,
    /// There may be this many worker processes, those that are leaving included.
    pub slots: usize,
}

/// A `Policy` is the supervisor's state.
pub struct Policy {
    settings: Settings,
    mode: ServerMode,
    /// The server ends for this reason, where it was not asked to.
    failure: Option<(Status, String)>,
    /// There should be this many workers: always within `bounds`.
    wanted: usize,
    bounds: WorkerRange,
    trend: Trend,
    most: usize,
    slots: usize,
    workers: BTreeMap<Id, Worker>,
    /// The deaths of each worker that there should be are counted here, by its index.
    backoffs: Vec<Backoff>,
    last_death: Option<Instant>,
    next_id: u64,
    reload: Reload,
    upgrade: Upgrade,
    idle: Idle,
    /// Some worker was ready once.
    served: bool,
    random: Box<dyn FnMut() -> u64>,
    actions: Vec<Action>,
    /// This has happened since it was told last.
    incidents: Vec<Incident>,
}

impl Policy {
    /// Makes the state before anything was compiled, and the first thing to do.
    pub fn new(
        settings: Settings,
        room: Capacity,
        random: Box<dyn FnMut() -> u64>,
    ) -> (Policy, Vec<Action>) {
        let mut policy = Policy {
            wanted: settings.workers.least().min(room.most),
            bounds: settings.workers.moved(0, room.most),
            trend: Trend::default(),
            most: room.most,
            slots: room.slots,
            settings,
            mode: ServerMode::Booting,
            failure: None,
            workers: BTreeMap::new(),
            backoffs: Vec::new(),
            last_death: None,
            next_id: 0,
            reload: Reload::default(),
            upgrade: Upgrade::None,
            idle: Idle::default(),
            served: false,
            random,
            actions: Vec::new(),
            incidents: Vec::new(),
        };
        policy.compile();
        let actions = std::mem::take(&mut policy.actions);
        (policy, actions)
    }

    /// Gives what is to be done about `event`.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Compiled { settings, found } => self.compiled(settings, found, now),
            Event::Pulling { limit } => self.pulling(limit, now),
            Event::Compiling { limits } => self.compiling(limits, now),
            Event::CompilerSize { resident } => self.compiler_size(resident),
            Event::Stepping { limit } => self.stepping(limit, now),
            Event::Priming { limit } => self.priming(limit, now),
            Event::Loading { limits } => self.loading(limits, now),
            Event::CodeDied { why } => {
                self.compile_again(
                    "The compiled code in the cache is not used, and made again",
                    why,
                    now,
                );
            }
            Event::NoRoom { why } => {
                let remedy = "There is no room for compiled code in the cache, and it is made again in memory";
                self.compile_again(remedy, why, now);
            }
            Event::CompileFailed { status, reason } => self.compile_failed(status, reason, now),
            Event::Ready(id) => self.ready(id, now),
            Event::Spent(id) => self.due(id, Reason::Requests),
            Event::Stuck(id) => self.due(id, Reason::Stuck),
            Event::LastWords { id, status, text } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.last_words = Some((status, text));
                }
            }
            Event::Ended { id, death } => self.ended(id, death, now),
            Event::Stop => self.stop(now),
            Event::Quit => self.quit(now),
            Event::Reload => self.reload("asked to", false),
            Event::ReloadCanary => self.reload("asked to, with a canary", true),
            Event::Changed => self.reload("a file changed", false),
            Event::Promote => self.promote_by_hand(),
            Event::RollBack => self.roll_back("asked to", now),
            Event::StopOnce if self.mode.changes() => self.stop(now),
            Event::StopOnce => {}
            Event::Scale(bounds) => self.bound(bounds),
            Event::Restart { pid } => self.restart(pid),
            Event::More => self.bound(self.bounds.moved(1, self.most)),
            Event::Fewer => self.bound(self.bounds.moved(-1, self.most)),
            Event::Upgrade => self.upgrade(now),
            Event::Answered(answer) => self.answered(answer),
            Event::SocketsRenewed => self.sockets_renewed(),
            Event::Beat(readings) => self.beat(readings, now),
            Event::ConnectionCounts(activity) => self.activity(activity, now),
            Event::Time => {}
        }
        self.reconcile(now);
        self.advance(now);
        std::mem::take(&mut self.actions)
    }

    /// Notes that the worker that was asked for by `Fork` is this process.
    pub fn forked(&mut self, id: Id, pid: i32) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.pid = pid;
        }
    }

    /// Says when the policy wants to be asked again, whatever happens; none where only events matter.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.workers.values().filter_map(|worker| {
            let WorkerState::Leaving { deadline, .. } = worker.state else {
                return None;
            };
            Some(deadline)
        });
        let indices = 0..self.backoffs.len();
        let retries = indices.filter_map(|index| self.waits_until(index, now));
        let once = self.mode.until().into_iter().chain(self.upgrade.until());
        let once = once.chain(self.reload.attempt.wakes_at(now));
        deadlines.chain(retries).chain(once).min()
    }

    /// Says whether a worker of this version may still be forked.
    pub fn needs(&self, generation: u32) -> bool {
        self.reload.needs(generation)
    }

    fn ids(&self, which: impl Fn(&Worker) -> bool) -> Vec<Id> {
        let found = self.workers.iter().filter(|(_, worker)| which(worker));
        found.map(|(id, _)| *id).collect()
    }

    fn log(&mut self, level: Level, text: String) {
        self.actions.push(Action::Log { level, text });
    }
}
