//! Deaths, wear and numbers.

use super::*;

#[test]
fn a_worker_that_dies_is_replaced_at_once() {
    let mut world = World::serving(settings(2));
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    assert_eq!(world.doing(ProcessState::Starting).len(), 1);
    assert_eq!(
        world.said(Level::Error),
        ["Child process [1000] died: killed by SIGSEGV"]
    );
}

#[test]
fn one_that_keeps_dying_is_replaced_later_and_later_and_the_others_are_let_be() {
    let mut world = World::serving(settings(2));
    let steady = world.doing(ProcessState::Serving)[0];
    let mut forks = 0;
    for _ in 0..600 {
        let known = |id: &Id| *id != steady;
        for id in world
            .processes
            .keys()
            .copied()
            .filter(known)
            .collect::<Vec<_>>()
        {
            forks += 1;
            world.crashes(id);
        }
        world.pass(Duration::from_millis(100));
    }
    assert!((5..15).contains(&forks), "{forks} forks in a minute");
    assert_eq!(world.doing(ProcessState::Serving), [steady]);
    assert!(world.has_said("deaths in a row"));
}

#[test]
fn where_all_keep_dying_one_tries_every_second() {
    let mut world = World::serving(settings(4));
    let mut forks = 0;
    for tick in 0..1200 {
        for id in world.processes.keys().copied().collect::<Vec<_>>() {
            forks += usize::from(tick >= 600);
            world.crashes(id);
        }
        world.pass(Duration::from_millis(100));
    }
    assert!((30..80).contains(&forks), "{forks} forks in a minute");
}

#[test]
fn a_worker_that_leaves_uncalled_is_replaced() {
    let mut world = World::serving(settings(1));
    let id = world.doing(ProcessState::Serving)[0];
    world.ends(id, End::Exited(0));
    assert!(world.has_said("died: it exited with status 0"));
    world.settle();
    assert_eq!(world.serving_now(), 1);
}

#[test]
fn its_last_words_are_in_the_record() {
    let mut world = World::serving(settings(1));
    let id = world.doing(ProcessState::Serving)[0];
    let (status, text) = (Status::Internal, "no more threads".to_owned());
    world.on(Event::LastWords { id, status, text });
    world.ends(id, End::Exited(1));
    assert!(world.has_said("died: no more threads (it exited with status 1)"));
}

#[test]
fn the_replacement_of_a_spent_worker_is_ready_first() {
    let mut world = World::serving(settings(2));
    let id = world.doing(ProcessState::Serving)[0];
    world.on(Event::Spent(id));
    assert_eq!(
        (
            world.serving_now(),
            world.doing(ProcessState::Starting).len()
        ),
        (2, 1)
    );
    world.one_ready();
    assert_eq!(world.doing(ProcessState::Draining), [id]);
    assert_eq!(world.serving_now(), 2);
    world.settle();
    assert_eq!(
        world.said(Level::Error),
        [] as [&str; 0],
        "wear is not a crash"
    );
    assert!(world.has_said("[1000] ended: recycled after its requests"));
}

#[test]
fn a_worker_in_which_something_does_not_end_is_replaced_as_one_that_is_spent() {
    let mut world = World::serving(settings(2));
    let id = world.doing(ProcessState::Serving)[0];
    world.on(Event::Stuck(id));
    world.one_ready();
    assert_eq!(world.doing(ProcessState::Draining), [id]);
    world.settle();
    assert_eq!(world.serving_now(), 2);
    assert!(world.has_said("[1000] ended: recycled for what a guest began in it"));
}

#[test]
fn spent_workers_are_replaced_one_after_the_other() {
    let mut world = World::serving(settings(8));
    for id in world.doing(ProcessState::Serving) {
        world.on(Event::Spent(id));
    }
    let mut replaced = 0;
    while world.serving_now() + world.doing(ProcessState::Draining).len() > 0 && replaced < 8 {
        assert_eq!(world.doing(ProcessState::Starting).len(), 1);
        world.one_ready();
        assert_eq!(
            world.doing(ProcessState::Starting).len(),
            0,
            "one still drains"
        );
        world.reap();
        replaced += 1;
    }
    assert_eq!(
        (
            world.serving_now(),
            world.doing(ProcessState::Starting).len()
        ),
        (8, 0)
    );
}

#[test]
fn of_more_than_eight_several_are_replaced_at_a_time() {
    let mut world = World::serving(settings(16));
    for id in world.doing(ProcessState::Serving) {
        world.on(Event::Spent(id));
    }
    world.settle();
    assert_eq!(world.serving_now(), 16);
    assert!(
        world.processes.keys().all(|id| id.0 >= 16),
        "all were replaced"
    );
}

#[test]
fn a_replacement_that_cannot_start_leaves_the_worn_worker_serving() {
    let mut world = World::serving(settings(1));
    let worn = world.doing(ProcessState::Serving)[0];
    world.on(Event::Spent(worn));
    for _ in 0..5 {
        let id = world.doing(ProcessState::Starting)[0];
        world.crashes(id);
        assert_eq!(world.doing(ProcessState::Serving), [worn]);
        world.pass(10 * SECOND);
    }
    world.settle();
    assert_eq!(world.serving_now(), 1);
    assert!(!world.processes.contains_key(&worn));
}

#[test]
fn age_is_wear() {
    let mut aged = settings(2);
    aged.max_worker_lifetime = Some(60 * SECOND);
    let mut world = World::serving(aged);
    world.pass(62 * SECOND);
    world.settle();
    world.pass(2 * SECOND);
    world.settle();
    assert!(world.processes.keys().all(|id| id.0 >= 2));
    assert!(world.has_said("recycled for its age"));
}

#[test]
fn workers_come_and_go_by_signal_and_one_stays() {
    let mut world = World::serving(settings(2));
    world.on(Event::More);
    world.settle();
    assert_eq!(world.serving_now(), 3);
    for _ in 0..10 {
        world.on(Event::Fewer);
        world.settle();
    }
    assert_eq!(world.serving_now(), 1);
    assert!(world.has_said("one worker fewer was asked for"));
}

#[test]
fn of_fewer_workers_those_that_serve_stay() {
    let mut world = World::serving(settings(2));
    let broken = world.doing(ProcessState::Serving)[0];
    world.crashes(broken);
    world.on(Event::Fewer);
    assert_eq!(
        world.serving_now(),
        1,
        "the one that serves is not the one to go"
    );
    world.settle();
    assert_eq!((world.serving_now(), world.processes.len()), (1, 1));
}

#[test]
fn workers_that_take_their_time_to_leave_do_not_keep_others_from_starting() {
    let room = Capacity { most: 2, slots: 4 };
    let mut world = World::with_room(settings(2), room);
    world.compiled();
    world.settle();
    for _ in 0..4 {
        world.on(Event::Reload);
        world.compiled();
        while let Some(id) = world.doing(ProcessState::Starting).first() {
            world.ready(*id);
        }
        assert!(world.processes.len() <= 4);
    }
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    let id = world.doing(ProcessState::Serving).first().copied();
    id.into_iter().for_each(|id| world.crashes(id));
    world.reap();
    world.settle();
    assert_eq!(world.serving_now(), 2);
}

/// The supervisor hears later that a worker is ready than the worker begins to serve.
#[test]
fn a_worker_that_starts_when_one_fewer_is_wanted_may_serve_already_and_is_not_killed() {
    let mut world = World::serving(settings(2));
    world.on(Event::More);
    let [late] = world.doing(ProcessState::Starting)[..] else {
        panic!("one starts");
    };
    world.on(Event::Fewer);
    assert!(!world.processes[&late].killed);
    world.ready(late);
    assert_eq!(world.doing(ProcessState::Draining), [late]);
    world.settle();
    assert_eq!(world.serving_now(), 2);
}
