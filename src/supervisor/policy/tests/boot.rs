//! These tests go from nothing to serving, or to a start that fails.

use super::*;

#[test]
fn nothing_is_forked_before_there_is_code() {
    let world = World::new(settings(4));
    assert_eq!((world.compiling, world.processes.len()), (Some(1), 0));
}

#[test]
fn it_is_announced_once_and_only_when_every_worker_is_ready() {
    let mut world = World::new(settings(3));
    world.compiled();
    assert_eq!(world.processes.len(), 3);
    for ready in 0..3 {
        assert_eq!(world.announced, 0, "after {ready}");
        world.one_ready();
    }
    assert_eq!(world.announced, 1);
    world.on(Event::Reload);
    world.compiled();
    world.settle();
    assert_eq!(world.announced, 1);
}

#[test]
fn a_component_that_does_not_compile_ends_the_server() {
    let mut world = World::new(settings(2));
    world.compile_failed("not a component");
    let failure = (Status::Application, "not a component".to_owned());
    assert_eq!(world.ended, Some(Some(failure)));
}

#[test]
fn a_worker_that_dies_before_the_first_is_ready_ends_the_server_with_its_last_words() {
    let mut world = World::new(settings(3));
    world.compiled();
    let id = world.doing(ProcessState::Starting)[1];
    let (status, text) = (Status::Application, "no such import".to_owned());
    world.on(Event::LastWords { id, status, text });
    world.ends(id, End::Exited(3));
    assert!(world.processes.values().all(|process| process.killed));
    assert_eq!(world.ended, None, "the others are reaped first");
    world.reap();
    let failure = (Status::Application, "no such import".to_owned());
    assert_eq!(world.ended, Some(Some(failure)));
    assert_eq!(world.ends_said(), ["the start failed"; 2]);
}

/// Where nothing was reloaded, nobody is told so.
#[test]
fn workers_that_start_are_said_to_end_by_what_ended_them() {
    for stop in [Event::Stop, Event::Quit] {
        let mut world = World::new(settings(3));
        world.compiled();
        world.on(stop);
        world.reap();
        assert_eq!(world.ended, Some(None));
        assert_eq!(world.ends_said(), ["shutdown"; 3]);
    }
    let mut world = World::new(settings(3));
    world.found();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    world.reap();
    assert_eq!(
        world.ends_said()[1..],
        ["its compiled code is made again"; 2]
    );
}

#[test]
fn a_worker_that_is_not_ready_in_time_before_the_first_ends_the_server() {
    let mut world = World::new(settings(2));
    world.compiled();
    world.pass(61 * SECOND);
    world.reap();
    let Some(Some((Status::Application, why))) = &world.ended else {
        panic!("{:?}", world.ended);
    };
    assert!(why.contains("--timeout-worker-startup"), "{why}");
}

#[test]
fn a_worker_that_dies_while_it_starts_after_another_was_ready_is_replaced() {
    let mut world = World::new(settings(2));
    world.compiled();
    world.one_ready();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    assert_eq!((world.ended.is_none(), world.processes.len()), (true, 2));
    world.settle();
    assert_eq!((world.announced, world.serving_now()), (1, 2));
}

#[test]
fn it_is_announced_where_those_that_are_missing_are_wanted_no_more() {
    let mut world = World::new(settings(2));
    world.compiled();
    world.one_ready();
    world.on(Event::Fewer);
    assert_eq!(world.announced, 1);
    world.settle();
    assert_eq!(world.serving_now(), 1);
}
