//! Workers' lives, played in no time at all.

use super::*;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;

const KILLED: End = End::Killed(Signal::SIGKILL);

fn settings(workers: usize) -> Settings {
    Settings {
        workers: NonZeroUsize::new(workers).unwrap(),
        graceful_shutdown: Duration::from_secs(30),
        shutdown_delay: Duration::ZERO,
        healthcheck: Duration::from_secs(5),
        startup: Duration::from_secs(60),
        limit_max_requests: None,
        limit_max_requests_jitter: 0,
        max_worker_rss: None,
        max_worker_lifetime: None,
        reload: false,
    }
}

/// A world without processes: it does what the policy says, and says what came of it.
struct World {
    policy: Policy,
    now: Instant,
    log: Vec<String>,
    /// Forked and not reaped.
    alive: BTreeSet<Id>,
    ready: BTreeSet<Id>,
    draining: BTreeSet<Id>,
    killed: BTreeSet<Id>,
    generations: Vec<(Id, u32)>,
    compiling: bool,
    announced: usize,
    closed: bool,
    exit: Option<Option<(Status, String)>>,
}

impl World {
    fn new(settings: Settings) -> World {
        let now = Instant::now();
        let (policy, actions) = Policy::new(settings, 64, now, Box::new(|| 250));
        let mut world = World {
            policy,
            now,
            log: Vec::new(),
            alive: BTreeSet::new(),
            ready: BTreeSet::new(),
            draining: BTreeSet::new(),
            killed: BTreeSet::new(),
            generations: Vec::new(),
            compiling: false,
            announced: 0,
            closed: false,
            exit: None,
        };
        world.perform(actions);
        world
    }

    /// A server that has booted.
    fn serving(settings: Settings) -> World {
        let mut world = World::new(settings);
        world.happens(Event::Compiled);
        world.all_ready();
        assert_eq!(world.announced, 1);
        world
    }

    fn happens(&mut self, event: Event) {
        match &event {
            Event::Compiled | Event::CompileFailed { .. } => self.compiling = false,
            Event::Ready(id) => {
                self.ready.insert(*id);
            }
            Event::Ended { id, .. } => {
                for set in [
                    &mut self.alive,
                    &mut self.ready,
                    &mut self.draining,
                    &mut self.killed,
                ] {
                    set.remove(id);
                }
            }
            _ => {}
        }
        let actions = self.policy.on(event, self.now);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Compile { .. } => self.compiling = true,
                Action::KillCompiler => {}
                Action::Fork { id, generation } => {
                    self.alive.insert(id);
                    self.generations.push((id, generation));
                    self.policy.forked(id, i32::try_from(id.0).unwrap());
                }
                Action::Drain { id, .. } => {
                    self.draining.insert(id);
                }
                Action::Kill { id } => {
                    self.killed.insert(id);
                }
                Action::Announce => self.announced += 1,
                Action::CloseListeners => self.closed = true,
                Action::Log { text, .. } => self.log.push(text),
                Action::Exit { failure } => {
                    assert!(self.exit.is_none(), "it ends once");
                    self.exit = Some(failure);
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.happens(Event::Time);
    }

    fn beat(&mut self, silent: impl Fn(Id) -> Duration) {
        self.now += self.policy.beat_period();
        let vitals = self.alive.iter().map(|id| Vital {
            id: *id,
            silent: silent(*id),
            resident: 0,
            answering: "GET /".to_owned(),
        });
        let vitals = vitals.collect();
        self.happens(Event::Beat(vitals));
    }

    /// Workers that take connections.
    fn in_service(&self) -> Vec<Id> {
        let gone = |id: &Id| self.draining.contains(id) || self.killed.contains(id);
        self.ready.iter().copied().filter(|id| !gone(id)).collect()
    }

    /// The seats that somebody serves at.
    fn seats_in_service(&self) -> BTreeSet<usize> {
        self.in_service()
            .iter()
            .map(|id| self.policy.workers[id].seat)
            .collect()
    }

    fn starting(&self) -> Vec<Id> {
        let begun = |id: &Id| self.ready.contains(id) || self.killed.contains(id);
        self.alive.iter().copied().filter(|id| !begun(id)).collect()
    }

    fn all_ready(&mut self) {
        while let Some(id) = self.starting().first() {
            self.happens(Event::Ready(*id));
        }
    }

    fn dies(&mut self, id: Id, end: End) {
        self.happens(Event::Ended {
            id,
            end,
            memory: false,
        });
    }

    /// Everybody who was told to go goes; everybody who starts gets ready; compilers finish.
    fn settle(&mut self) {
        for _ in 0..1000 {
            if self.compiling {
                self.happens(Event::Compiled);
            } else if let Some(id) = self.killed.union(&self.draining).next().copied() {
                self.dies(id, End::Exited(0));
            } else if let Some(id) = self.starting().first().copied() {
                self.happens(Event::Ready(id));
            } else {
                return;
            }
        }
        panic!("it does not settle");
    }

    fn logged(&self, text: &str) -> bool {
        self.log.iter().any(|line| line.contains(text))
    }
}

#[test]
fn it_is_announced_when_every_worker_is_ready() {
    let mut world = World::new(settings(2));
    assert!(
        world.alive.is_empty(),
        "nothing is forked before there is code"
    );
    world.happens(Event::Compiled);
    let workers = world.starting();
    world.happens(Event::Ready(workers[0]));
    assert_eq!(world.announced, 0);
    world.happens(Event::Ready(workers[1]));
    assert_eq!(world.announced, 1);
}

#[test]
fn an_application_that_does_not_compile_ends_the_server() {
    let mut world = World::new(settings(2));
    world.happens(Event::CompileFailed {
        status: Status::Application,
        reason: "broken".to_owned(),
    });
    assert_eq!(
        world.exit,
        Some(Some((Status::Application, "broken".to_owned())))
    );
}

#[test]
fn a_worker_that_cannot_start_at_boot_ends_the_server_with_its_last_words() {
    let mut world = World::new(settings(2));
    world.happens(Event::Compiled);
    let workers = world.starting();
    world.happens(Event::LastWords {
        id: workers[0],
        status: Status::Application,
        text: "no memory".to_owned(),
    });
    world.dies(workers[0], End::Exited(3));
    assert_eq!(world.exit, None, "the other is reaped first");
    assert!(world.killed.contains(&workers[1]));
    world.dies(workers[1], KILLED);
    assert_eq!(
        world.exit,
        Some(Some((Status::Application, "no memory".to_owned())))
    );
}

#[test]
fn a_worker_that_dies_is_replaced_at_once_and_then_with_pauses() {
    let mut world = World::serving(settings(2));
    let victim = world.in_service()[0];
    world.dies(victim, KILLED);
    assert!(world.logged("died: killed by SIGKILL"));
    assert_eq!(world.starting().len(), 1);
    world.all_ready();
    let again = *world.in_service().iter().max().unwrap();
    world.dies(again, KILLED);
    assert_eq!(
        world.starting().len(),
        0,
        "the second death in a row is waited after"
    );
    assert_eq!(world.in_service().len(), 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.starting().len(), 1);
}

#[test]
fn a_reload_never_has_fewer_workers_in_service() {
    let mut world = World::serving(settings(3));
    let before = world.in_service();
    world.happens(Event::Reload);
    world.happens(Event::Compiled);
    while world.in_service().iter().any(|id| before.contains(id)) {
        assert!(world.in_service().len() >= 3);
        assert_eq!(world.starting().len(), 1, "one at a time");
        world.happens(Event::Ready(world.starting()[0]));
    }
    world.settle();
    assert_eq!(world.alive.len(), 3);
    assert!(world.logged("replaced by a reload"));
}

#[test]
fn a_version_that_does_not_start_leaves_the_old_one_serving() {
    let mut world = World::serving(settings(2));
    let before = world.in_service();
    world.happens(Event::Reload);
    world.happens(Event::CompileFailed {
        status: Status::Application,
        reason: "does not compile".to_owned(),
    });
    assert!(world.logged("does not compile"));
    world.happens(Event::Reload);
    world.happens(Event::Compiled);
    world.dies(world.starting()[0], End::Exited(3));
    assert!(world.logged("The reload failed"));
    world.settle();
    assert_eq!(world.in_service(), before);
    assert_eq!(world.starting().len(), 0, "it is not tried again");
}

#[test]
fn a_second_reload_comes_after_the_first() {
    let mut world = World::serving(settings(1));
    world.happens(Event::Reload);
    world.happens(Event::Reload);
    world.happens(Event::Compiled);
    assert!(world.compiling, "what was compiled is out of date");
    world.settle();
    assert_eq!(world.generations.last().unwrap().1, 3);
    assert_eq!(world.alive.len(), 1);
}

#[test]
fn a_silent_worker_is_replaced_first_and_killed_then() {
    let mut world = World::serving(settings(2));
    let hung = world.in_service()[0];
    let silence = |id| {
        if id == hung {
            Duration::from_secs(6)
        } else {
            Duration::ZERO
        }
    };
    world.beat(silence);
    assert!(world.logged("hung, silent for 6.0 s, answering \"GET /\""));
    assert!(!world.killed.contains(&hung));
    world.all_ready();
    assert!(world.killed.contains(&hung));
}

#[test]
fn nobody_is_called_silent_when_the_machine_was_away() {
    let mut world = World::serving(settings(2));
    world.beat(|_| Duration::ZERO);
    world.now += Duration::from_secs(3600);
    world.beat(|_| Duration::from_secs(3600));
    assert_eq!(world.starting().len(), 0);
    for _ in 0..6 {
        world.beat(|_| Duration::from_secs(3600));
    }
    assert_eq!(
        world.starting().len(),
        1,
        "but one at a time when it goes on"
    );
}

#[test]
fn recycling_is_one_at_a_time_and_no_crash() {
    let mut world = World::serving(settings(3));
    for id in world.in_service() {
        world.happens(Event::Spent(id));
    }
    assert_eq!((world.starting().len(), world.draining.len()), (1, 0));
    world.happens(Event::Ready(world.starting()[0]));
    assert_eq!(world.draining.len(), 1);
    world.settle();
    assert_eq!(
        world
            .log
            .iter()
            .filter(|line| line.contains("ended: recycled after its requests"))
            .count(),
        3
    );
    assert!(!world.logged("died"));
}

#[test]
fn scaling_goes_up_and_down_but_not_below_one() {
    let mut world = World::serving(settings(2));
    world.happens(Event::More);
    world.settle();
    assert_eq!(world.in_service().len(), 3);
    for _ in 0..5 {
        world.happens(Event::Fewer);
    }
    world.settle();
    assert_eq!(world.in_service().len(), 1);
}

#[test]
fn a_stop_drains_and_kills_what_does_not_end() {
    let mut world = World::serving(settings(2));
    world.happens(Event::Stop);
    assert!(world.closed);
    assert_eq!(world.draining.len(), 2);
    let busy = world.in_service().first().copied();
    assert_eq!(busy, None);
    world.pass(Duration::from_secs(31));
    assert_eq!(world.killed.len(), 2);
    world.settle();
    assert_eq!(world.exit, Some(None));
}

#[test]
fn a_delayed_stop_goes_on_serving_and_replacing() {
    let mut world = World::serving(Settings {
        shutdown_delay: Duration::from_secs(10),
        ..settings(2)
    });
    world.happens(Event::Stop);
    assert!(!world.closed);
    world.dies(world.in_service()[0], KILLED);
    assert_eq!(world.starting().len(), 1);
    world.pass(Duration::from_secs(10));
    assert!(world.closed);
}

#[test]
fn a_second_stop_kills() {
    let mut world = World::serving(settings(2));
    world.happens(Event::Stop);
    world.happens(Event::Stop);
    assert_eq!(world.killed.len(), 2);
    world.settle();
    assert_eq!(world.exit, Some(None));
}

/// A xorshift generator: the same orders in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick(&mut self, ids: &[Id]) -> Option<Id> {
        (!ids.is_empty()).then(|| ids[self.roll(ids.len())])
    }
}

/// One random thing happens. Nothing crashes unless `crashes`.
fn anything(world: &mut World, dice: &mut Dice, crashes: bool) {
    match dice.roll(14) {
        0 => world.happens(Event::Reload),
        1 => world.happens(Event::Changed),
        2 if world.policy.wanted < 6 => world.happens(Event::More),
        3 if world.policy.wanted > 3 => world.happens(Event::Fewer),
        4 if world.compiling => world.happens(Event::CompileFailed {
            status: Status::Application,
            reason: String::new(),
        }),
        5 | 6 if world.compiling => world.happens(Event::Compiled),
        7 | 8 => {
            if let Some(id) = dice.pick(&world.starting()) {
                world.happens(Event::Ready(id));
            }
        }
        9 => {
            let leaving: Vec<Id> = world.draining.union(&world.killed).copied().collect();
            if let Some(id) = dice.pick(&leaving) {
                world.dies(id, End::Exited(0));
            }
        }
        10 => {
            if let Some(id) = dice.pick(&world.in_service()) {
                world.happens(Event::Spent(id));
            }
        }
        11 => world.beat(|_| Duration::ZERO),
        12 => world.pass(Duration::from_millis(700)),
        13 if crashes => {
            let alive: Vec<Id> = world.alive.iter().copied().collect();
            if let Some(id) = dice.pick(&alive) {
                world.dies(id, KILLED);
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_the_order_of_events_the_invariants_hold() {
    for seed in 1..=400 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let mut world = World::serving(settings(3));
        let crashes = seed % 2 == 0;
        for _ in 0..200 {
            let before = world.seats_in_service();
            anything(&mut world, &mut dice, crashes);
            let wanted = world.policy.wanted;
            let after = world.seats_in_service();
            let lost: Vec<_> = before
                .difference(&after)
                .filter(|seat| **seat < wanted)
                .collect();
            assert!(
                crashes || lost.is_empty(),
                "seed {seed}: nobody serves at {lost:?} any more"
            );
            assert!(world.exit.is_none(), "seed {seed}: it ended by itself");
        }
        world.pass(Duration::from_secs(60));
        world.settle();
        world.pass(Duration::from_secs(60));
        world.settle();
        let current = world.policy.wanted_generation();
        let generations = world
            .generations
            .iter()
            .filter(|(id, _)| world.alive.contains(id));
        assert!(
            generations
                .clone()
                .all(|(_, generation)| *generation == current),
            "seed {seed}"
        );
        assert_eq!(world.in_service().len(), world.policy.wanted, "seed {seed}");

        world.happens(Event::Stop);
        world.happens(Event::Reload);
        world.settle();
        assert_eq!(world.exit, Some(None), "seed {seed}: it did not end");
        assert!(
            world.alive.is_empty(),
            "seed {seed}: somebody was not reaped"
        );
    }
}
