//! These tests play a worker's life in microseconds: the policy plays against processes that exist only here.

mod attempt;
mod boot;
mod canary;
mod health;
mod load;
mod model;
mod reload;
mod replace;
mod steering;
mod stop;
mod upgrade;

use super::{Action, Capacity, Death, Event, HealthReading, Id, Policy, WorkerLoad, WorkerState};
use crate::channel::WorkerRange;
use crate::exit::Status;
use crate::log::Level;
use crate::scoreboard::Answers;
use crate::supervisor::settings::{
    CanarySettings, CodeSettings, CompileLimits, Settings, WithoutTraffic,
};
use crate::sys::process::End;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

pub fn fixed(workers: usize) -> WorkerRange {
    range(workers, workers)
}

pub fn range(least: usize, most: usize) -> WorkerRange {
    let bound = |bound| u16::try_from(bound).unwrap();
    WorkerRange::new(bound(least), bound(most)).unwrap()
}

pub fn settings(workers: usize) -> Settings {
    Settings {
        workers: fixed(workers),
        concurrency: 1000,
        scale_down: 60 * SECOND,
        graceful_shutdown: 30 * SECOND,
        shutdown_delay: Duration::ZERO,
        healthcheck: 5 * SECOND,
        startup: 60 * SECOND,
        limit_max_requests: None,
        limit_max_requests_jitter: 0,
        max_worker_rss: None,
        max_worker_lifetime: None,
        reload: false,
        exit_idle: None,
        compile: CompileLimits {
            time: 600 * SECOND,
            memory: 1 << 30,
        },
        step_time: 3600 * SECOND,
        canary: CanarySettings {
            share: None,
            time: 60 * SECOND,
            max_failures: 0.01,
            max_latency: 1.5,
            without_traffic: WithoutTraffic::Wait,
        },
        jobs: Vec::new(),
        job_time: 3600 * SECOND,
        code: CodeSettings::default(),
    }
}

/// `Behaviour` is what a version does with the requests that come.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Each of its workers is asked this often a second.
    pub rate: u32,
    /// Of this many requests one fails; nought where none does.
    pub one_fails_of: u64,
    pub micros: u64,
}

pub const GOOD: Behaviour = Behaviour {
    rate: 50,
    one_fails_of: 0,
    micros: 20_000,
};

/// A `ProcessState` says what a process does that the policy asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Starting,
    Serving,
    Draining,
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub generation: u32,
    pub doing: ProcessState,
    /// The process was killed, and is not reaped yet.
    pub killed: bool,
    pub hangs: bool,
}

/// A `World` is the policy, and the processes that it thinks there are.
pub struct World {
    pub policy: Policy,
    pub now: Instant,
    pub processes: BTreeMap<Id, Process>,
    /// This version is being compiled.
    pub compiling: Option<u32>,
    /// The compiler was killed, and has not ended.
    pub killed_compiler: bool,
    /// Versions whose code was removed from the cache.
    pub dropped: Vec<u32>,
    pub asking: bool,
    pub settings: Settings,
    pub logged: Vec<(Level, String)>,
    pub announced: u32,
    pub closed: bool,
    pub withdrawn: bool,
    pub ended_jobs: bool,
    pub executed: u32,
    pub ended: Option<Option<(Status, String)>>,
    beats: u64,
    /// Each worker has this to do.
    pub load: WorkerLoad,
    /// Each version behaves like this; those that are not named here are asked nothing.
    pub behaviours: BTreeMap<u32, Behaviour>,
    answers: BTreeMap<Id, Answers>,
    dice: model::XorShift,
}

impl World {
    pub fn new(settings: Settings) -> World {
        let room = Capacity {
            most: 32,
            slots: 64,
        };
        World::with_room(settings, room)
    }

    pub fn with_room(settings: Settings, room: Capacity) -> World {
        let (policy, actions) = Policy::new(settings.clone(), room, Box::new(|| 250));
        let mut world = World {
            policy,
            now: Instant::now(),
            processes: BTreeMap::new(),
            compiling: None,
            killed_compiler: false,
            dropped: Vec::new(),
            asking: false,
            settings,
            logged: Vec::new(),
            announced: 0,
            closed: false,
            withdrawn: false,
            ended_jobs: false,
            executed: 0,
            ended: None,
            beats: 0,
            load: WorkerLoad::default(),
            behaviours: BTreeMap::new(),
            answers: BTreeMap::new(),
            dice: model::XorShift(1),
        };
        world.perform(actions);
        world
    }

    /// Makes a world in which everybody serves.
    pub fn serving(settings: Settings) -> World {
        let mut world = World::new(settings);
        world.compiled();
        world.settle();
        assert_eq!(world.announced, 1);
        world.logged.clear();
        world
    }

    pub fn on(&mut self, event: Event) {
        let actions = self.policy.on(event, self.now);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Compile { number } => {
                    assert_eq!(
                        self.compiling.replace(number),
                        None,
                        "one compiler at a time"
                    );
                }
                Action::Fork { id, generation } => {
                    let process = Process {
                        generation,
                        doing: ProcessState::Starting,
                        killed: false,
                        hangs: false,
                    };
                    assert!(
                        self.processes.insert(id, process).is_none(),
                        "a name used twice"
                    );
                    self.policy.forked(id, 1000 + i32::try_from(id.0).unwrap());
                }
                Action::Drain { id, .. } => self.process(id).doing = ProcessState::Draining,
                Action::Kill { id } => self.process(id).killed = true,
                Action::Announce => self.announced += 1,
                Action::Withdraw => self.withdrawn = true,
                Action::CloseListeners => self.closed = true,
                Action::AskSuccessor => {
                    assert!(!std::mem::replace(&mut self.asking, true), "one at a time");
                }
                Action::KillCompiler => {
                    assert!(self.compiling.is_some());
                    self.killed_compiler = true;
                }
                Action::DropCode { generation } => self.dropped.push(generation),
                Action::KillSuccessor => assert!(self.asking),
                Action::Execute => self.executed += 1,
                Action::Adopt { .. } => {}
                Action::EndJobs => self.ended_jobs = true,
                Action::Log { level, text } => self.logged.push((level, text)),
                Action::Exit { failure } => {
                    assert_eq!(self.ended.replace(failure), None, "it ends once");
                }
            }
        }
    }

    fn process(&mut self, id: Id) -> &mut Process {
        self.processes
            .get_mut(&id)
            .expect("a process that was forked and is not reaped")
    }

    /// Lists the processes that do this, oldest first.
    pub fn doing(&self, doing: ProcessState) -> Vec<Id> {
        let is = |process: &Process| process.doing == doing && !process.killed;
        let found = self.processes.iter().filter(|(_, process)| is(process));
        found.map(|(id, _)| *id).collect()
    }

    pub fn serving_now(&self) -> usize {
        self.doing(ProcessState::Serving).len()
    }

    pub fn generations(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self.processes.values().map(|p| p.generation).collect();
        found.dedup();
        found
    }

    pub fn compiled(&mut self) {
        self.made(false);
    }

    /// Has the code found in the cache.
    pub fn found(&mut self) {
        self.made(true);
    }

    fn made(&mut self, found: bool) {
        self.compiling.take().expect("a compiler at work");
        self.killed_compiler = false;
        let settings = Box::new(self.settings.clone());
        self.on(Event::Compiled { settings, found });
    }

    pub fn compile_failed(&mut self, reason: &str) {
        self.compiling.take().expect("a compiler at work");
        self.killed_compiler = false;
        let (status, reason) = (Status::Application, reason.to_owned());
        self.on(Event::CompileFailed { status, reason });
    }

    pub fn answered(&mut self, answer: Result<(), String>) {
        assert!(std::mem::take(&mut self.asking));
        self.on(Event::Answered(answer));
    }

    pub fn ready(&mut self, id: Id) {
        self.process(id).doing = ProcessState::Serving;
        self.on(Event::Ready(id));
    }

    /// Has the first worker get ready that is starting.
    pub fn one_ready(&mut self) {
        let id = self.doing(ProcessState::Starting)[0];
        self.ready(id);
    }

    /// Ends a process, which is reaped.
    pub fn ends(&mut self, id: Id, end: End) {
        self.processes.remove(&id).expect("a process");
        let death = Death { end, memory: false };
        self.on(Event::Ended { id, death });
    }

    pub fn crashes(&mut self, id: Id) {
        self.ends(id, End::Killed(Signal::SIGSEGV));
    }

    /// Processes that were killed or drain are gone.
    pub fn reap(&mut self) {
        let leaving = self.processes.iter().filter_map(|(id, process)| {
            let drained = process.doing == ProcessState::Draining && !process.hangs;
            match (process.killed, drained) {
                (true, _) => Some((*id, End::Killed(Signal::SIGKILL))),
                (false, true) => Some((*id, End::Exited(0))),
                (false, false) => None,
            }
        });
        for (id, end) in leaving.collect::<Vec<_>>() {
            if self.ended.is_none() {
                self.ends(id, end);
            }
        }
    }

    /// Lets everything happen that would happen by itself.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let starting = self.doing(ProcessState::Starting);
            if let Some(id) = starting.first() {
                self.ready(*id);
            }
            let before = self.processes.len();
            self.reap();
            if self.ended.is_some() || starting.is_empty() && before == self.processes.len() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass, beat by beat; processes that do not hang show that they live.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && self.ended.is_none() {
            self.now = end.min(self.now + self.policy.beat_period());
            self.beats += 1;
            self.ask();
            let beat = |(id, process): (&Id, &Process)| HealthReading {
                id: *id,
                beat: if process.hangs { 1 } else { self.beats + 1 },
                resident: 0,
                answering: "GET /slow".to_owned(),
                load: self.load,
                answers: self.answers.get(id).map(|it| Box::new(it.clone())),
            };
            let readings = self.processes.iter().map(beat).collect();
            self.on(Event::Beat(readings));
        }
    }

    /// Has clients ask for the length of a beat.
    fn ask(&mut self) {
        let period = self.policy.beat_period();
        for (id, process) in &self.processes {
            let answers = self.answers.entry(*id).or_default();
            let Some(behaviour) = self.behaviours.get(&process.generation) else {
                continue;
            };
            if process.doing == ProcessState::Serving && !process.killed {
                let count = period.as_secs_f64() * f64::from(behaviour.rate);
                for _ in 0..count.round() as u64 {
                    let fails = behaviour.one_fails_of;
                    let failed = fails > 0 && self.dice.roll(fails as usize) == 0;
                    // Some take up to twice as long.
                    let micros =
                        behaviour.micros + behaviour.micros * self.dice.roll(100) as u64 / 100;
                    answers.note(micros, failed);
                }
            }
        }
    }

    pub fn hang(&mut self, id: Id) {
        self.process(id).hangs = true;
    }

    /// Lists the lines of this level and worse.
    pub fn said(&self, level: Level) -> Vec<&str> {
        let lines = self.logged.iter().filter(|(of, _)| *of <= level);
        lines.map(|(_, text)| text.as_str()).collect()
    }

    pub fn has_said(&self, text: &str) -> bool {
        self.said(Level::Info)
            .iter()
            .any(|line| line.contains(text))
    }
}
