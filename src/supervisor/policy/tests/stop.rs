//! These tests are about how everything ends.

use super::*;

impl World {
    /// Lists why processes have ended, as it was logged.
    pub fn ends_said(&self) -> Vec<&str> {
        let lines = self.said(Level::Debug).into_iter();
        lines
            .filter_map(|line| {
                line.strip_prefix("Child process [")?
                    .split_once("] ended: ")
            })
            .map(|(_, why)| why)
            .collect()
    }
}

#[test]
fn a_stop_drains_everybody_and_ends_when_all_are_gone() {
    let mut world = World::serving(settings(3));
    world.on(Event::Stop);
    assert!(world.closed && world.withdrawn);
    assert_eq!(world.doing(ProcessState::Draining).len(), 3);
    assert_eq!(world.ended, None);
    world.reap();
    assert_eq!(world.ended, Some(None));
    assert_eq!(world.said(Level::Warning), [] as [&str; 0]);
}

#[test]
fn what_does_not_drain_in_time_is_killed() {
    let mut world = World::serving(settings(2));
    world.on(Event::Stop);
    world.pass(29 * SECOND);
    assert_eq!(world.doing(ProcessState::Draining).len(), 2);
    world.pass(2 * SECOND);
    assert_eq!(world.doing(ProcessState::Draining).len(), 0);
    world.reap();
    assert_eq!(world.ended, Some(None));
    assert!(world.has_said("still busy after --timeout-graceful-shutdown"));
}

#[test]
fn a_second_stop_does_not_wait() {
    let mut world = World::serving(settings(2));
    world.on(Event::Stop);
    world.on(Event::Stop);
    assert!(world.processes.values().all(|process| process.killed));
}

#[test]
fn quit_does_not_wait() {
    let mut world = World::serving(settings(2));
    world.on(Event::Quit);
    assert!(world.closed && world.processes.values().all(|process| process.killed));
    world.reap();
    assert_eq!(world.ended, Some(None));
}

#[test]
fn jobs_that_outlive_the_workers_are_not_waited_for_once_more_is_asked() {
    for again in [Event::Stop, Event::Quit] {
        let mut world = World::serving(settings(2));
        world.on(Event::Stop);
        world.reap();
        assert_eq!((world.ended.clone(), world.ended_jobs), (Some(None), false));
        world.on(again);
        assert!(world.ended_jobs);
    }
}

#[test]
fn during_the_shutdown_delay_everything_goes_on() {
    let mut delayed = settings(2);
    delayed.shutdown_delay = 10 * SECOND;
    let mut world = World::serving(delayed);
    world.on(Event::Stop);
    assert!(world.withdrawn && !world.closed);
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    world.settle();
    world.on(Event::Reload);
    world.on(Event::Fewer);
    world.pass(9 * SECOND);
    assert_eq!(
        (world.serving_now(), world.compiling, world.closed),
        (2, None, false)
    );
    world.pass(2 * SECOND);
    assert!(world.closed);
    world.reap();
    assert_eq!(world.ended, Some(None));
}

#[test]
fn a_stop_during_a_reload_ends_everything() {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.on(Event::Stop);
    world.reap();
    assert_eq!(world.ended, None, "the compiler is reaped first");
    world.compile_failed("killed by SIGKILL");
    assert_eq!(world.ended, Some(None));
    assert!(!world.has_said("reload failed"));
}

#[test]
fn a_stop_during_a_roll_ends_both_versions() {
    let mut world = World::serving(settings(3));
    world.on(Event::Reload);
    world.compiled();
    world.one_ready();
    world.on(Event::Stop);
    world.reap();
    assert_eq!(
        (world.ended.clone(), world.processes.len()),
        (Some(None), 0)
    );
}

#[test]
fn a_stop_while_it_boots_ends_it_without_a_failure() {
    let mut world = World::new(settings(2));
    world.on(Event::Stop);
    world.compile_failed("killed by SIGKILL");
    assert_eq!(world.ended, Some(None));

    let mut world = World::new(settings(2));
    world.compiled();
    world.one_ready();
    world.on(Event::Stop);
    assert_eq!(
        world.doing(ProcessState::Draining).len(),
        1,
        "who serves finishes"
    );
    world.reap();
    assert_eq!(world.ended, Some(None));
}

#[test]
fn a_process_that_cannot_be_killed_does_not_keep_the_server_from_ending() {
    let mut world = World::serving(settings(2));
    world.on(Event::Quit);
    world.pass(12 * SECOND);
    assert_eq!(world.ended, Some(None));
    assert!(world.has_said("cannot be killed"));
}

#[test]
fn what_happens_after_the_end_does_not_change_how_it_ended() {
    let mut world = World::new(settings(1));
    world.compile_failed("not a component");
    world.on(Event::Stop);
    world.on(Event::Reload);
    world.on(Event::Quit);
    world.on(Event::Time);
    let failure = (Status::Application, "not a component".to_owned());
    assert_eq!(world.ended, Some(Some(failure)));
}
