//! Thousands of random orders of events are played against the policy, with what must hold in all of them.
//!
//! The generator is a few lines and not a crate's: a seed names a history, and a history that fails is short enough to
//! be read as it is.

use super::*;
use std::collections::BTreeSet;

/// A `XorShift` generates numbers that always come in the same order (xorshift, Marsaglia 2003).
pub struct XorShift(pub u64);

impl XorShift {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick(&mut self, ids: &[Id]) -> Option<Id> {
        (!ids.is_empty()).then(|| ids[self.roll(ids.len())])
    }
}

struct Game {
    world: World,
    dice: XorShift,
    /// The operator wants this many workers.
    wanted: usize,
    /// Workers that served may die, and hang.
    crashes: bool,
    /// These moves were made, for the message of a failure.
    moves: Vec<usize>,
}

/// Puts moves into words only where somebody reads them.
struct Moves<'a>(&'a [usize]);

impl std::fmt::Display for Moves<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after the moves {:?}", self.0)
    }
}

impl Game {
    fn new(seed: u64, crashes: bool) -> Game {
        let mut dice = XorShift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let workers = 1 + dice.roll(12);
        let mut chosen = settings(workers);
        if dice.roll(2) == 0 {
            chosen.max_worker_lifetime = Some(20 * SECOND);
        }
        if dice.roll(3) == 0 {
            chosen.shutdown_delay = 3 * SECOND;
        }
        if dice.roll(3) == 0 {
            let share = [0.1, 0.25, 0.5][dice.roll(3)];
            chosen.canary.share = Some(share);
            chosen.canary.time = 10 * SECOND;
        }
        let mut world = World::new(chosen);
        world.compiled();
        world.settle();
        Game {
            world,
            dice,
            wanted: workers,
            crashes,
            moves: Vec::new(),
        }
    }

    /// Lets one thing happen that can happen.
    fn play(&mut self) {
        let kind = self.dice.roll(if self.crashes { 22 } else { 19 });
        self.moves.push(kind);
        let before = self.indices_served();
        match kind {
            0..=3 => self.one_gets_ready(),
            4..=6 => self.one_leaves(),
            7 => self.world.on(Event::Reload),
            8 => self.ends_the_compiler(),
            9 => self.spends(),
            10 => self.scale(),
            11 | 12 => {
                let millis = self.dice.roll(3000);
                self.world.pass(Duration::from_millis(millis as u64));
            }
            13 => self.hangs(),
            14 => self.upgrade(),
            15 => self.fails_to_start(),
            16 => self.world.on(Event::ReloadCanary),
            17 => self.world.on(Event::Promote),
            18 => self.world.on(Event::RollBack),
            19 | 20 => self.crashes(),
            _ => self.world.pass(45 * SECOND),
        }
        self.check(&before);
    }

    fn one_gets_ready(&mut self) {
        let starting = self.world.doing(ProcessState::Starting);
        if let Some(id) = self.dice.pick(&starting) {
            self.world.ready(id);
        }
    }

    fn one_leaves(&mut self) {
        let leaving =
            |process: &&Process| process.killed || process.doing == ProcessState::Draining;
        let processes = self.world.processes.iter();
        let ids: Vec<Id> = processes
            .filter(|(_, p)| leaving(p))
            .map(|(id, _)| *id)
            .collect();
        if let Some(id) = self.dice.pick(&ids) {
            let end = match self.world.processes[&id].killed {
                true => End::Killed(Signal::SIGKILL),
                false => End::Exited(0),
            };
            self.world.ends(id, end);
        }
    }

    fn ends_the_compiler(&mut self) {
        if self.world.compiling.is_some() {
            match self.dice.roll(3) {
                0 => self.world.compile_failed("broken"),
                _ => self.world.compiled(),
            }
        }
    }

    fn spends(&mut self) {
        let serving = self.world.doing(ProcessState::Serving);
        if let Some(id) = self.dice.pick(&serving) {
            self.world.on(Event::Spent(id));
        }
    }

    fn scale(&mut self) {
        if self.dice.roll(2) == 0 {
            self.wanted = (self.wanted + 1).min(32);
            self.world.on(Event::More);
        } else {
            self.wanted = (self.wanted - 1).max(1);
            self.world.on(Event::Fewer);
        }
    }

    fn hangs(&mut self) {
        let serving = self.world.doing(ProcessState::Serving);
        if let Some(id) = self.dice.pick(&serving).filter(|_| self.crashes) {
            self.world.hang(id);
        }
    }

    fn upgrade(&mut self) {
        if self.world.asking {
            self.world.answered(Err("no".to_owned()));
        } else {
            self.world.on(Event::Upgrade);
        }
    }

    /// Has a new version that is broken: its workers die while the old ones serve.
    fn fails_to_start(&mut self) {
        let starting = self.world.doing(ProcessState::Starting);
        if let Some(id) = self.dice.pick(&starting) {
            self.world.crashes(id);
        }
    }

    fn crashes(&mut self) {
        let all: Vec<Id> = self.world.processes.keys().copied().collect();
        if let Some(id) = self.dice.pick(&all) {
            self.world.crashes(id);
        }
    }

    /// Lists who serves, and at which index. Workers of a canary are there besides those that there should be, and may
    /// leave at any time.
    fn indices_served(&self) -> Vec<(Id, usize)> {
        let serving = self.world.doing(ProcessState::Serving).into_iter();
        let index = |id: Id| (id, self.world.policy.workers[&id].index);
        let canary = self.world.policy.canary_indices();
        let served = serving.map(index);
        served
            .filter(|(_, index)| !canary.contains(index))
            .collect()
    }

    /// Checks what holds after every move; these served before it.
    fn check(&self, before: &[(Id, usize)]) {
        let (world, story) = (&self.world, Moves(&self.moves));
        assert_eq!(world.ended, None, "{story}");
        assert!(world.processes.len() <= 64, "{story}");
        assert_eq!(world.processes.len(), world.policy.workers.len(), "{story}");
        if world.processes.values().any(|process| process.hangs) {
            // Nobody knows yet that it does not serve.
            return;
        }
        // Who is not there any more died; what else is missing is our own doing.
        let left = before
            .iter()
            .filter(|(id, _)| world.processes.contains_key(id));
        let indices: BTreeSet<usize> = left.map(|(_, index)| *index).collect();
        let least = indices.len().min(self.wanted);
        assert!(
            world.serving_now() >= least,
            "fewer than {least} serve: {story}"
        );
    }

    /// Lets nothing more happen from outside. Everything must come to rest as it should be.
    fn rest(&mut self) {
        for generation in 1..200 {
            let fails = if generation % 3 == 0 { 20 } else { 0 };
            let behaviour = Behaviour {
                rate: 5,
                one_fails_of: fails,
                ..GOOD
            };
            self.world.behaviours.insert(generation, behaviour);
        }
        for _ in 0..60 {
            if self.world.compiling.is_some() {
                self.world.compiled();
            }
            if self.world.asking {
                self.world.answered(Err("no".to_owned()));
            }
            self.world.settle();
            self.world.pass(2 * SECOND);
        }
        self.world.settle();
        let world = &self.world;
        let story = Moves(&self.moves);
        assert_eq!(world.policy.wanted, self.wanted, "{story}");
        let serving = world.serving_now();
        assert!(serving == self.wanted, "{serving} {story}");
        let generation = world.policy.reload.wanted_generation();
        assert_eq!(world.generations(), [generation], "{story}");
    }

    fn end(&mut self) {
        self.world.reap();
        self.world.on(Event::Stop);
        self.world.on(Event::Reload);
        for round in 0..100 {
            if self.world.compiling.is_some() {
                self.world.compile_failed("killed");
            }
            if self.world.ended.is_none() && self.world.asking {
                self.world.answered(Err("killed".to_owned()));
            }
            if self.world.ended.is_none() {
                self.world.pass(SECOND);
            }
            // Nothing is unkillable here: what was killed is reaped before long.
            let reaps = round % 5 == 0 || self.dice.roll(2) == 0;
            if self.world.ended.is_none() && reaps {
                self.world.reap();
            }
        }
        let story = Moves(&self.moves);
        assert_eq!(self.world.ended, Some(None), "{story}");
        assert_eq!(
            self.world.processes.len(),
            0,
            "everybody is reaped: {story}"
        );
    }
}

#[test]
fn whatever_happens_it_comes_to_rest_with_all_workers_of_one_version() {
    for seed in 1..=2000 {
        let mut game = Game::new(seed, seed % 2 == 0);
        for _ in 0..60 {
            game.play();
        }
        game.rest();
    }
}

#[test]
fn whenever_it_is_told_to_stop_it_ends_with_everybody_reaped() {
    for seed in 1..=2000 {
        let mut game = Game::new(seed, seed % 2 == 0);
        for _ in 0..game.dice.roll(60) {
            game.play();
        }
        game.end();
    }
}
