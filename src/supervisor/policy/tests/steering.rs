//! These tests give commands as the admin process does, and look at what is said of what came of them.

use super::*;
use crate::scoreboard::ServerState;
use crate::scoreboard::totals::EndReason;
use crate::supervisor::policy::Incident;

#[test]
fn a_worker_that_is_to_be_restarted_is_replaced_first() {
    let mut world = World::serving(settings(2));
    let first = world.doing(ProcessState::Serving)[0];
    let pid = 1000 + i32::try_from(first.0).unwrap();
    world.on(Event::Restart { pid });
    assert_eq!(world.serving_now(), 2, "it serves until another does");
    world.settle();
    assert_eq!(world.serving_now(), 2);
    assert!(!world.doing(ProcessState::Serving).contains(&first));
    let [
        Incident::Ended {
            pid: ended, reason, ..
        },
    ] = &world.policy.take_incidents()[..]
    else {
        panic!("one end is told of");
    };
    assert_eq!((*ended, *reason), (pid, EndReason::Asked));
    world.on(Event::Restart { pid: 1 });
    world.settle();
    assert_eq!(world.policy.take_incidents(), [], "nobody is meant");
}

#[test]
fn as_many_workers_as_were_asked_for_serve() {
    let mut world = World::serving(settings(2));
    for (asked, serve) in [(5, 5), (1, 1), (10_000, 32)] {
        let bounds = fixed(asked);
        world.on(Event::Scale(bounds));
        world.settle();
        let report = world.policy.report();
        assert_eq!(
            (world.serving_now(), report.workers.wanted as usize),
            (serve, serve)
        );
        assert_eq!(report.workers.limit, 32);
    }
}

/// A second INT ends everything at once; a second `wasmserve stop` must not.
#[test]
fn a_stop_that_is_asked_for_twice_still_drains() {
    let mut world = World::serving(settings(2));
    world.on(Event::StopOnce);
    world.on(Event::StopOnce);
    assert_eq!(world.policy.report().state, ServerState::Draining);
    assert_eq!(world.doing(ProcessState::Draining).len(), 2);
}

#[test]
fn what_came_of_a_reload_is_told_once() {
    let mut world = World::serving(settings(1));
    assert_eq!(world.policy.take_incidents(), [], "a start is no reload");
    let before = world.policy.report().versions;
    assert_eq!((before.served, before.changing), (1, false));
    world.on(Event::Reload);
    assert!(world.policy.report().versions.changing);
    world.compile_failed("no component");
    let versions = world.policy.report().versions;
    assert_eq!((versions.served, versions.failed), (1, 2));
    assert!(!versions.changing);
    let failed = Incident::ReloadFailed("no component".to_owned());
    assert_eq!(world.policy.take_incidents(), [failed]);
    world.on(Event::Reload);
    world.compiled();
    assert!(world.policy.report().versions.changing, "it is tried");
    world.settle();
    assert_eq!(world.policy.report().versions.served, 3);
    let incidents = world.policy.take_incidents();
    assert_eq!(
        incidents
            .iter()
            .filter(|it| **it == Incident::Reloaded)
            .count(),
        1
    );
}

#[test]
fn each_end_is_told_of_with_its_reason() {
    let mut world = World::serving(settings(2));
    let [first, second] = world.doing(ProcessState::Serving)[..] else {
        panic!("two serve");
    };
    world.crashes(first);
    world.ends(second, End::Killed(Signal::SIGKILL));
    let reasons: Vec<EndReason> = world
        .policy
        .take_incidents()
        .into_iter()
        .filter_map(|incident| match incident {
            Incident::Ended { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [EndReason::Crashed, EndReason::Killed]);
}
