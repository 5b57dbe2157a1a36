//! These tests are about workers that give no sign of life.

use super::*;

#[test]
fn a_silent_worker_is_replaced_first_and_killed_then() {
    let mut world = World::serving(settings(2));
    let id = world.doing(ProcessState::Serving)[1];
    world.pass(10 * SECOND);
    assert_eq!(world.said(Level::Info), [] as [&str; 0]);
    world.hang(id);
    world.pass(4 * SECOND);
    assert_eq!(
        world.doing(ProcessState::Starting),
        [],
        "it is not called silent too early"
    );
    world.pass(3 * SECOND);
    assert_eq!(
        (
            world.doing(ProcessState::Starting).len(),
            world.process(id).killed
        ),
        (1, false)
    );
    world.one_ready();
    assert!(world.process(id).killed);
    world.reap();
    assert!(world.has_said("[1001] ended: hung, silent for"));
    assert!(world.has_said("answering \"GET /slow\""));
}

#[test]
fn all_workers_that_hang_are_replaced_together() {
    let mut world = World::serving(settings(4));
    for id in world.doing(ProcessState::Serving) {
        world.hang(id);
    }
    world.pass(7 * SECOND);
    assert_eq!(world.doing(ProcessState::Starting).len(), 4);
    world.settle();
    assert_eq!((world.serving_now(), world.processes.len()), (4, 4));
}

#[test]
fn a_worker_that_hangs_does_not_wait_for_a_replacement_that_does_not_come() {
    let mut world = World::serving(settings(1));
    let id = world.doing(ProcessState::Serving)[0];
    world.hang(id);
    for _ in 0..70 {
        world.pass(SECOND);
        for starting in world.doing(ProcessState::Starting) {
            world.crashes(starting);
        }
    }
    assert!(world.process(id).killed);
}

#[test]
fn a_worker_that_hangs_while_it_drains_is_not_waited_for() {
    let mut world = World::serving(settings(1));
    let id = world.doing(ProcessState::Serving)[0];
    world.hang(id);
    world.on(Event::Stop);
    assert_eq!(world.doing(ProcessState::Draining), [id]);
    world.pass(8 * SECOND);
    world.reap();
    assert_eq!(world.ended, Some(None));
}

#[test]
fn workers_are_well_whose_time_did_not_pass() {
    // What `Clock` makes of a machine that was suspended: the clock stands still, and the next
    // readings are those from before.
    let mut world = World::serving(settings(2));
    world.pass(3 * SECOND);
    let stale = |id: &Id| HealthReading {
        id: *id,
        beat: 4,
        resident: 0,
        answering: String::new(),
        load: WorkerLoad::default(),
        answers: None,
    };
    let readings: Vec<HealthReading> = world.processes.keys().map(stale).collect();
    world.now += 2 * SECOND;
    world.on(Event::Beat(readings));
    world.pass(60 * SECOND);
    assert_eq!(world.said(Level::Info), [] as [&str; 0]);
}

#[test]
fn a_worker_that_does_not_get_ready_in_time_is_killed_and_the_old_one_serves() {
    let mut world = World::serving(settings(1));
    let worn = world.doing(ProcessState::Serving)[0];
    world.on(Event::Spent(worn));
    let late = world.doing(ProcessState::Starting)[0];
    world.pass(62 * SECOND);
    assert!(world.process(late).killed);
    world.reap();
    assert_eq!(world.doing(ProcessState::Serving), [worn]);
    assert!(world.has_said("not ready within 60 s (--timeout-worker-startup)"));
}

#[test]
fn memory_beyond_the_limit_is_wear() {
    let mut limited = settings(2);
    limited.max_worker_rss = Some(100 << 20);
    let mut world = World::serving(limited);
    let id = world.doing(ProcessState::Serving)[0];
    let reading = |resident| HealthReading {
        id,
        beat: 7,
        resident,
        answering: String::new(),
        load: WorkerLoad::default(),
        answers: None,
    };
    world.on(Event::Beat(vec![reading(100 << 20)]));
    assert_eq!(world.doing(ProcessState::Starting).len(), 0);
    world.on(Event::Beat(vec![reading(101 << 20)]));
    world.settle();
    assert!(!world.processes.contains_key(&id));
    assert!(world.has_said("recycled for its memory of 101 MiB"));
}

/// A worker can shut down the sockets of all (shutdown(2)): who has one that was bound before is of no more use.
#[test]
fn workers_are_replaced_in_turn_where_a_socket_was_bound_anew() {
    let mut world = World::serving(settings(3));
    world.on(Event::More);
    let before: Vec<Id> = world.processes.keys().copied().collect();
    assert_eq!(before.len(), 4, "one is still starting");
    world.on(Event::SocketsRenewed);
    assert_eq!(
        world.serving_now(),
        3,
        "nobody leaves before there is another"
    );
    world.settle();
    assert_eq!(world.serving_now(), 4);
    assert!(!before.iter().any(|id| world.processes.contains_key(id)));
}
