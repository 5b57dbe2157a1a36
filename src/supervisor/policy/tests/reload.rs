//! These tests are about new versions.

use super::*;

#[test]
fn each_new_worker_is_ready_before_an_old_one_drains() {
    let mut world = World::serving(settings(3));
    world.on(Event::Reload);
    assert_eq!(world.serving_now(), 3, "while it compiles, all serve");
    world.compiled();
    for _ in 0..3 {
        assert_eq!(
            (
                world.serving_now(),
                world.doing(ProcessState::Starting).len()
            ),
            (3, 1)
        );
        world.one_ready();
        assert_eq!(world.serving_now(), 3);
    }
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (3, vec![2]));
    assert!(world.has_said("ended: replaced by a reload"));
}

#[test]
fn a_version_that_does_not_compile_leaves_the_old_one_serving() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.compile_failed("not a component");
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (2, vec![1]));
    let expected = "The reload failed, and the old version goes on serving: not a component";
    assert_eq!(world.said(Level::Error), [expected]);
}

#[test]
fn a_version_that_does_not_start_leaves_the_old_one_serving() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.compiled();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    world.settle();
    world.pass(60 * SECOND);
    assert_eq!((world.serving_now(), world.generations()), (2, vec![1]));
    assert_eq!(world.ends_said(), ["it could not start"]);
    assert!(world.has_said("The reload failed, and the old version goes on serving"));
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (2, vec![1]));
}

#[test]
fn the_settings_of_a_version_that_does_not_start_do_not_count() {
    let mut world = World::serving(settings(2));
    world.settings = settings(5);
    world.on(Event::Reload);
    world.compiled();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    world.settle();
    assert_eq!(world.serving_now(), 2);
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    assert_eq!(world.serving_now(), 5);
}

#[test]
fn how_many_were_asked_for_by_signal_survives_a_reload() {
    let mut world = World::serving(settings(2));
    world.on(Event::More);
    world.settle();
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    assert_eq!(world.serving_now(), 3);
}

#[test]
fn a_second_reload_takes_the_place_of_the_first_while_that_compiles() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.on(Event::Reload);
    world.on(Event::Reload);
    assert_eq!((world.compiling, world.killed_compiler), (Some(2), true));
    world.compile_failed("killed by SIGKILL");
    assert!(!world.has_said("reload failed"));
    assert_eq!(
        (world.compiling, world.doing(ProcessState::Starting).len()),
        (Some(3), 0)
    );
    world.compiled();
    world.settle();
    assert_eq!((world.compiling, world.generations()), (None, vec![3]));
}

#[test]
fn a_reload_during_the_roll_supersedes_it() {
    let mut world = World::serving(settings(4));
    world.on(Event::Reload);
    world.compiled();
    world.one_ready();
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (4, vec![3]));
}

#[test]
fn a_reload_that_fails_during_the_roll_of_another_lets_that_one_finish() {
    let mut world = World::serving(settings(4));
    world.on(Event::Reload);
    world.compiled();
    world.on(Event::Reload);
    world.one_ready();
    world.compile_failed("broken");
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (4, vec![2]));
}

#[test]
fn a_crash_during_a_trial_is_mended_with_what_is_known_to_work() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.compiled();
    let id = world.doing(ProcessState::Serving)[1];
    world.crashes(id);
    let mut starting: Vec<u32> = world.processes.values().map(|p| p.generation).collect();
    starting.sort_unstable();
    assert_eq!(starting, [1, 1, 2]);
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (2, vec![2]));
}

#[test]
fn a_version_that_mends_one_that_always_crashes_is_tried_at_once() {
    let mut world = World::serving(settings(1));
    for _ in 0..6 {
        while let Some(id) = world.processes.keys().next().copied() {
            world.crashes(id);
        }
        world.pass(5 * SECOND);
    }
    while let Some(id) = world.processes.keys().next().copied() {
        world.crashes(id);
    }
    assert_eq!(world.processes.len(), 0, "it waits");
    world.on(Event::Reload);
    world.compiled();
    assert_eq!(world.generations(), [2]);
}

#[test]
fn a_stop_while_a_version_is_tried_is_told_as_a_stop() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.compiled();
    assert_eq!(world.doing(ProcessState::Starting).len(), 1);
    world.on(Event::Stop);
    world.reap();
    assert_eq!(world.ends_said(), ["shutdown"; 3]);
}

#[test]
fn the_other_workers_of_a_version_that_does_not_start_are_said_to_end_by_that() {
    // Of sixteen workers two are replaced at a time.
    let mut world = World::serving(settings(16));
    world.on(Event::Reload);
    world.compiled();
    let starting = world.doing(ProcessState::Starting);
    assert_eq!(starting.len(), 2);
    world.crashes(starting[0]);
    world.reap();
    assert_eq!(
        world.ends_said(),
        ["it could not start", "its version does not start"]
    );
}
