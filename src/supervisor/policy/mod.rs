//! What the supervisor does about what happens: a pure function of its state, an event and the time.
//! It forks nothing, kills nothing and writes nothing; it says what is to be done.

mod ends;
mod health;
mod plan;
mod reload;
mod stop;
#[cfg(test)]
mod tests;
mod worker;

pub use health::Vital;
pub use worker::{Id, Reason};

use super::backoff::Backoff;
use super::settings::Settings;
use crate::exit::Status;
use crate::log::Level;
use crate::sys::process::End;
use reload::Reload;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stop::Mode;
use worker::{State, Worker};

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The compiler made the code of the generation that was asked for last.
    Compiled,
    /// It did not; the status and the reason.
    CompileFailed {
        status: Status,
        reason: String,
    },
    /// A worker can serve.
    Ready(Id),
    /// A worker reached its limit of requests.
    Spent(Id),
    /// A worker's last words.
    LastWords {
        id: Id,
        status: Status,
        text: String,
    },
    /// A worker is gone. `memory` tells that the kernel took it for want of memory.
    Ended {
        id: Id,
        end: End,
        memory: bool,
    },
    /// The operator asks to stop (TERM or INT).
    Stop,
    /// The operator asks to stop at once (QUIT).
    Quit,
    /// The operator asks for a reload (HUP).
    Reload,
    /// A watched file changed.
    Changed,
    /// One worker more, one fewer (TTIN, TTOU).
    More,
    Fewer,
    /// The readings of a health check.
    Beat(Vec<Vital>),
    /// Nothing but time has passed.
    Time,
}

/// Something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Compile the next generation; `number` is its name.
    Compile {
        number: u32,
    },
    KillCompiler,
    /// Fork a worker of this generation.
    Fork {
        id: Id,
        generation: u32,
    },
    /// Have a worker leave when it is done. `retiring` where others go on serving.
    Drain {
        id: Id,
        retiring: bool,
    },
    Kill {
        id: Id,
    },
    /// Every worker is ready for the first time.
    Announce,
    /// No more connections are to be taken.
    CloseListeners,
    Log {
        level: Level,
        text: String,
    },
    /// Everything has ended; the reason, where it was not the operator's wish.
    Exit {
        failure: Option<(Status, String)>,
    },
}

/// The supervisor's state.
pub struct Policy {
    settings: Settings,
    mode: Mode,
    /// How many workers there should be.
    wanted: usize,
    most: usize,
    workers: BTreeMap<Id, Worker>,
    /// The deaths at each seat: a seat is one of the workers that there should be.
    seats: Vec<Backoff>,
    next_id: u64,
    reload: Reload,
    /// Whether any worker was ever ready.
    served: bool,
    last_beat: Instant,
    /// Nobody is called silent before this: the machine itself was away.
    lenient_until: Instant,
    random: Box<dyn FnMut() -> u64>,
    actions: Vec<Action>,
}

impl Policy {
    /// The state before anything was compiled, and the first thing to do. There are never more than
    /// `most` workers wanted.
    pub fn new(
        settings: Settings,
        most: usize,
        now: Instant,
        random: Box<dyn FnMut() -> u64>,
    ) -> (Policy, Vec<Action>) {
        let mut policy = Policy {
            wanted: settings.workers.get(),
            most,
            settings,
            mode: Mode::Booting,
            workers: BTreeMap::new(),
            seats: Vec::new(),
            next_id: 0,
            reload: Reload::default(),
            served: false,
            last_beat: now,
            lenient_until: now,
            random,
            actions: Vec::new(),
        };
        policy.compile();
        let actions = std::mem::take(&mut policy.actions);
        (policy, actions)
    }

    /// What is to be done about `event`.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Compiled => self.compiled(),
            Event::CompileFailed { status, reason } => self.compile_failed(status, reason),
            Event::Ready(id) => self.ready(id, now),
            Event::Spent(id) => self.due(id, Reason::Requests),
            Event::LastWords { id, status, text } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.last_words = Some((status, text));
                }
            }
            Event::Ended { id, end, memory } => self.ended(id, end, memory, now),
            Event::Stop => self.stop(now),
            Event::Quit => self.quit(),
            Event::Reload => self.reload("asked to"),
            Event::Changed => self.reload("a file changed"),
            Event::More => self.scale(self.wanted + 1),
            Event::Fewer => self.scale(self.wanted - 1),
            Event::Beat(vitals) => self.beat(&vitals, now),
            Event::Time => {}
        }
        self.plan(now);
        self.advance(now);
        std::mem::take(&mut self.actions)
    }

    /// The settings of a reloaded configuration. Scaling by signal ends with it.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.wanted = settings.workers.get().min(self.most);
        self.settings = settings;
    }

    /// The worker that was asked for by `Fork` is this process.
    pub fn forked(&mut self, id: Id, pid: i32) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.pid = pid;
        }
    }

    /// How often health is to be checked: five times within what counts as silence.
    pub fn beat_period(&self) -> Duration {
        (self.settings.healthcheck / 5).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }

    /// When the policy wants to be asked again, whatever happens.
    pub fn wakes_at(&self, now: Instant) -> Instant {
        let deadlines = self
            .workers
            .values()
            .filter_map(|worker| match worker.state {
                State::Leaving { deadline, .. } => Some(deadline),
                _ => None,
            });
        let retries = self.seats.iter().filter_map(|seat| seat.waits_until(now));
        let beat = self.last_beat + self.beat_period();
        deadlines
            .chain(retries)
            .chain(self.mode.until())
            .fold(beat, Instant::min)
    }

    /// The version that workers should have.
    pub fn wanted_generation(&self) -> u32 {
        self.reload.wanted_generation()
    }

    fn scale(&mut self, wanted: usize) {
        let wanted = wanted.clamp(1, self.most);
        if wanted != self.wanted && self.mode.is_serving() {
            self.log(
                Level::Info,
                format!(
                    "Changing the number of workers from {} to {wanted}",
                    self.wanted
                ),
            );
            self.wanted = wanted;
        }
    }

    fn log(&mut self, level: Level, text: String) {
        self.actions.push(Action::Log { level, text });
    }
}
