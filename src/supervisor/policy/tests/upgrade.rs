//! These tests are about another executable in place of this one.

use super::super::{Inherited, InheritedState};
use super::*;

#[test]
fn the_new_executable_is_asked_before_it_takes_over() {
    let mut world = World::serving(settings(2));
    world.on(Event::Upgrade);
    assert_eq!((world.asking, world.executed), (true, 0));
    world.answered(Ok(()));
    assert_eq!(world.executed, 1);
}

#[test]
fn one_that_cannot_leaves_this_one_serving() {
    let mut world = World::serving(settings(2));
    world.on(Event::Upgrade);
    world.answered(Err("no such file".to_owned()));
    assert_eq!((world.executed, world.serving_now()), (0, 2));
    assert!(world.has_said("this one goes on serving: no such file"));
    world.on(Event::Upgrade);
    assert!(world.asking, "it can be tried again");
}

#[test]
fn one_that_does_not_answer_is_not_waited_for() {
    let mut world = World::serving(settings(1));
    world.on(Event::Upgrade);
    world.pass(121 * SECOND);
    world.answered(Err("killed by SIGKILL".to_owned()));
    assert!(world.has_said("no answer within 120 s"));
}

#[test]
fn an_upgrade_ends_the_compiler_and_a_reload_waits_for_the_upgrade() {
    let mut world = World::serving(settings(1));
    world.on(Event::Reload);
    world.on(Event::Upgrade);
    assert_eq!((world.killed_compiler, world.asking), (true, false));
    world.compile_failed("killed by SIGKILL");
    assert!(world.asking);
    assert!(!world.has_said("reload failed"));
    world.on(Event::Reload);
    assert_eq!(world.compiling, None);
    world.answered(Err("no".to_owned()));
    assert_eq!(world.compiling, Some(3), "the reload is not lost");
}

#[test]
fn a_stop_during_an_upgrade_ends_everything() {
    let mut world = World::serving(settings(1));
    world.on(Event::Upgrade);
    world.on(Event::Stop);
    world.reap();
    assert_eq!(world.ended, None);
    world.answered(Ok(()));
    assert_eq!((world.ended, world.executed), (Some(None), 0));
}

#[test]
fn what_is_inherited_serves_until_the_new_version_is_ready() {
    let mut before = World::serving(settings(2));
    before.on(Event::More);
    before.on(Event::Upgrade);
    before.answered(Ok(()));
    let (served, wanted, workers) = before.policy.handover(before.now);
    assert_eq!((served, wanted, workers.len()), (1, 3, 3));
    let starting = |worker: &Inherited| matches!(worker.state, InheritedState::Starting { .. });
    assert_eq!(workers.iter().filter(|worker| starting(worker)).count(), 1);

    let room = Capacity {
        most: 32,
        slots: 64,
    };
    let left = (served, wanted, workers);
    let random = Box::new(|| 0);
    let (policy, actions) = Policy::inherit(settings(2), room, left, before.now, random);
    let mut world = World {
        policy,
        processes: before.processes.clone(),
        ..before
    };
    world.perform(actions);
    assert_eq!((world.compiling, world.serving_now()), (Some(2), 2));
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (3, vec![1]));
    world.compiled();
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (3, vec![2]));
    assert_eq!(world.ends_said(), ["replaced with the executable"; 3]);
    assert!(
        world
            .policy
            .workers
            .values()
            .all(|w| matches!(w.state, WorkerState::Ready { .. }))
    );
}

#[test]
fn where_the_new_version_does_not_compile_what_is_inherited_goes_on() {
    let before = World::serving(settings(1));
    let left = before.policy.handover(before.now);
    let room = Capacity {
        most: 32,
        slots: 64,
    };
    let random = Box::new(|| 0);
    let (policy, actions) = Policy::inherit(settings(1), room, left, before.now, random);
    let mut world = World { policy, ..before };
    world.perform(actions);
    world.compile_failed("broken");
    let expected = "The new executable cannot serve, and the workers of the old one go on: broken";
    assert_eq!(world.said(Level::Error), [expected]);
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (1, vec![1]));
}
