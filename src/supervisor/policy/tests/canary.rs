//! These tests compare new versions with the old one.

use super::super::{Condition, Incident, Inherited, InheritedState};
use super::*;

fn with_canary(workers: usize) -> Settings {
    let mut settings = settings(workers);
    settings.canary.share = Some(0.1);
    settings
}

/// Makes a world with clients in which a canary of version 2 runs.
fn running(workers: usize, new: Behaviour) -> World {
    let mut world = World::serving(with_canary(workers));
    world.behaviours = BTreeMap::from([(1, GOOD), (2, new)]);
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    world
}

/// Counts the workers of each version that serve.
fn versions(world: &World) -> BTreeMap<u32, usize> {
    let mut versions = BTreeMap::new();
    for id in world.doing(ProcessState::Serving) {
        *versions.entry(world.processes[&id].generation).or_default() += 1;
    }
    versions
}

fn new_worker(world: &World, generation: u32) -> Id {
    let mut serving = world.doing(ProcessState::Serving).into_iter();
    serving
        .find(|id| world.processes[id].generation == generation)
        .unwrap()
}

#[test]
fn a_good_version_is_promoted_when_its_time_is_over() {
    for workers in [1, 4, 12] {
        let mut world = running(workers, GOOD);
        let beside = workers.div_ceil(9);
        assert_eq!(
            versions(&world),
            BTreeMap::from([(1, workers), (2, beside)])
        );
        world.pass(59 * SECOND);
        assert_eq!(
            versions(&world)[&1],
            workers,
            "all of the old version serve meanwhile"
        );
        world.pass(2 * SECOND);
        assert!(world.has_said("Canary: version 2 is promoted: it has failed 0 of"));
        world.settle();
        assert_eq!(versions(&world), BTreeMap::from([(2, workers)]));
        assert!(
            world
                .policy
                .take_incidents()
                .contains(&Incident::CanaryOver { promoted: true })
        );
    }
}

#[test]
fn a_version_that_fails_one_request_in_twenty_is_rolled_back_and_nobody_else_is_disturbed() {
    for workers in [1, 4] {
        let bad = Behaviour {
            one_fails_of: 20,
            ..GOOD
        };
        let mut world = running(workers, bad);
        let old = world.processes.clone();
        world.pass(60 * SECOND);
        assert!(
            world.has_said(
                "Canary: version 2 is rolled back, and version 1 goes on serving: it fails"
            )
        );
        assert!(
            world.has_said("ended: its version was not promoted") || !world.processes.is_empty()
        );
        world.settle();
        assert_eq!(versions(&world), BTreeMap::from([(1, workers)]));
        assert!(
            world.processes.keys().all(|id| old.contains_key(id)),
            "nobody was replaced"
        );
        // Later starts are of the old version, whatever there is on the disk.
        let id = new_worker(&world, 1);
        world.crashes(id);
        world.settle();
        assert_eq!(versions(&world), BTreeMap::from([(1, workers)]));
        assert_eq!(world.compiling, None);
    }
}

#[test]
fn a_canary_keeps_its_share_when_the_number_of_workers_changes() {
    let mut world = running(4, GOOD);
    for (workers, beside) in [(20, 3), (12, 2), (1, 1), (4, 1)] {
        world.on(Event::Scale(workers.to_string().parse().unwrap()));
        world.settle();
        assert_eq!(
            versions(&world),
            BTreeMap::from([(1, workers), (2, beside)])
        );
    }
    world.pass(61 * SECOND);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(2, 4)]));
}

#[test]
fn a_worker_of_the_canary_that_crashes_ends_it() {
    let mut world = running(3, GOOD);
    let id = new_worker(&world, 2);
    world.crashes(id);
    assert!(world.has_said("is rolled back"));
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 3)]));
}

#[test]
fn a_worker_of_the_canary_that_cannot_start_or_hangs_ends_it() {
    let mut world = World::serving(with_canary(3));
    world.on(Event::Reload);
    world.compiled();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    assert!(world.has_said("is rolled back"));
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 3)]));
    let mut world = running(3, GOOD);
    let id = new_worker(&world, 2);
    world.hang(id);
    world.pass(10 * SECOND);
    assert!(world.has_said("is rolled back"));
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 3)]));
}

#[test]
fn a_worker_that_somebody_kills_or_that_is_of_the_old_version_says_nothing_of_the_new_one() {
    let mut world = running(3, GOOD);
    let id = new_worker(&world, 2);
    world.ends(id, End::Killed(Signal::SIGKILL));
    world.settle();
    let id = new_worker(&world, 1);
    world.crashes(id);
    world.settle();
    assert_eq!(
        versions(&world),
        BTreeMap::from([(1, 3), (2, 1)]),
        "each has its own version again"
    );
    // The old one crashes too: that it does is not held against the new one.
    let id = new_worker(&world, 2);
    world.crashes(id);
    world.pass(2 * SECOND);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 3), (2, 1)]));
}

#[test]
fn a_newer_reload_takes_the_place_of_a_canary() {
    let mut world = running(2, GOOD);
    world.pass(50 * SECOND);
    world.on(Event::Reload);
    world.pass(20 * SECOND);
    assert_eq!(
        versions(&world),
        BTreeMap::from([(1, 2), (2, 1)]),
        "not promoted meanwhile"
    );
    world.compiled();
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 2), (3, 1)]));
    assert!(world.has_said("version 2 is given up for version 3"));
    // One that does not compile leaves the canary as it is.
    world.on(Event::Changed);
    world.compile_failed("broken");
    assert_eq!(versions(&world), BTreeMap::from([(1, 2), (3, 1)]));
}

#[test]
fn the_operator_can_promote_and_roll_back() {
    let mut world = running(3, GOOD);
    world.on(Event::Promote);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(2, 3)]));
    world.on(Event::Promote);
    world.on(Event::RollBack);
    world.settle();
    assert_eq!(
        versions(&world),
        BTreeMap::from([(2, 3)]),
        "there is nothing to decide"
    );
    world.on(Event::Reload);
    world.compiled();
    world.on(Event::Promote);
    world.settle();
    assert_eq!(
        versions(&world),
        BTreeMap::from([(3, 3)]),
        "as soon as one is ready"
    );
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    world.on(Event::RollBack);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(3, 3)]));
    assert!(world.has_said("version 4 is rolled back, and version 3 goes on serving: asked to"));
}

#[test]
fn without_traffic_it_waits_and_says_so_once() {
    let mut world = running(2, GOOD);
    world.behaviours.clear();
    world.pass(300 * SECOND);
    assert_eq!(versions(&world), BTreeMap::from([(1, 2), (2, 1)]));
    let said = world.said(Level::Warning).len();
    assert_eq!(said, 1, "{:?}", world.said(Level::Warning));
    world.behaviours = BTreeMap::from([(1, GOOD), (2, GOOD)]);
    world.pass(5 * SECOND);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(2, 2)]));
}

#[test]
fn workers_come_and_go_beside_a_canary() {
    let mut world = running(2, GOOD);
    world.on(Event::More);
    world.on(Event::More);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 4), (2, 1)]));
    (0..3).for_each(|_| world.on(Event::Fewer));
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 1), (2, 1)]));
    world.pass(61 * SECOND);
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(2, 1)]));
}

#[test]
fn the_executable_is_not_replaced_while_a_canary_runs_and_its_own_versions_have_none() {
    let mut world = running(2, GOOD);
    world.on(Event::Upgrade);
    assert!(!world.asking && world.has_said("a canary runs"));
    world.on(Event::RollBack);
    world.settle();
    world.on(Event::Upgrade);
    assert!(world.asking);
    let worker = Inherited {
        id: Id(5),
        pid: 77,
        index: 0,
        generation: 1,
        state: InheritedState::Ready { age: SECOND },
    };
    let room = Capacity {
        most: 32,
        slots: 64,
    };
    let left = (1, 1, vec![worker]);
    let (mut policy, _) = Policy::inherit(with_canary(1), room, left, world.now, Box::new(|| 1));
    let (settings, found) = (Box::new(with_canary(1)), false);
    let actions = policy.on(Event::Compiled { settings, found }, world.now);
    let forked = actions
        .iter()
        .filter(|it| matches!(it, Action::Fork { .. }));
    assert_eq!(
        (forked.count(), policy.canary_figures(world.now)),
        (1, None)
    );
}

/// A new version that is made for the executable's sake, while a replacement waits, is no canary.
#[test]
fn an_upgrade_that_waited_comes_before_the_canary() {
    let mut world = World::serving(with_canary(1));
    world.on(Event::Reload);
    world.on(Event::Upgrade);
    world.compiled();
    assert!(world.asking);
    assert_eq!(versions(&world), BTreeMap::from([(1, 1)]));
    world.answered(Err("no".to_owned()));
    assert_eq!(world.compiling, Some(3), "the reload is not lost");
}

#[test]
fn a_stop_during_a_canary_ends_everything() {
    let mut world = running(2, GOOD);
    world.on(Event::Stop);
    for _ in 0..3 {
        world.reap();
    }
    assert_eq!(
        (world.ended.clone(), world.processes.len()),
        (Some(None), 0)
    );
}

#[test]
fn a_canary_is_asked_for_one_reload_alone_and_needs_somebody_beside_it() {
    let mut world = World::serving(settings(2));
    world.on(Event::ReloadCanary);
    world.compiled();
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(1, 2), (2, 1)]));
    let two = Condition::Serving {
        ready: 3,
        wanted: 2,
    };
    assert_eq!(world.policy.condition(), two);
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(3, 2)]));
    for id in world.doing(ProcessState::Serving) {
        world.crashes(id);
    }
    for id in world.doing(ProcessState::Starting) {
        world.crashes(id);
    }
    world.on(Event::ReloadCanary);
    world.compiled();
    world.settle();
    assert_eq!(versions(&world), BTreeMap::from([(4, 2)]), "nobody served");
}

#[test]
fn what_is_told_of_a_canary_has_the_figures_of_both() {
    let mut world = running(4, GOOD);
    world.pass(30 * SECOND);
    let canary = world.policy.canary_figures(world.now).unwrap();
    assert_eq!(
        (canary.generation, canary.workers, canary.is_waiting),
        (2, 1, false)
    );
    assert!(canary.old.requests > 3 * canary.new.requests && canary.new.requests > 1000);
    assert_eq!((canary.elapsed_ms / 1000, canary.time_ms), (30, 60_000));
    assert!((20_000..50_000).contains(&canary.new.p99_us), "{canary:?}");
}
