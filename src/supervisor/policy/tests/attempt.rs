//! These tests show what making the next version may take, and what ends it.

use super::*;

const LIMITS: CompileLimits = CompileLimits {
    time: Duration::from_secs(60),
    memory: 1 << 30,
};

const STEP: Duration = Duration::from_secs(3600);

/// Makes a world that serves, with a reload under way.
fn reloading() -> World {
    let mut world = World::serving(settings(2));
    world.on(Event::Reload);
    world.on(Event::Compiling { limits: LIMITS });
    world
}

#[test]
fn a_compiler_that_takes_too_long_is_ended_and_the_old_version_serves() {
    let mut world = reloading();
    world.pass(59 * SECOND);
    assert!(!world.killed_compiler);
    world.pass(2 * SECOND);
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    world.settle();
    assert!(world.has_said("took longer than --limit-compile-time (60 s)"));
    assert_eq!((world.serving_now(), world.generations()), (2, vec![1]));
}

#[test]
fn a_compiler_that_takes_too_much_memory_is_ended() {
    let mut world = reloading();
    world.on(Event::CompilerSize { resident: 1 << 30 });
    assert!(!world.killed_compiler);
    world.on(Event::CompilerSize {
        resident: (1 << 30) + 1,
    });
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    assert!(world.has_said("more memory than --limit-compile-memory (1024 MiB)"));
}

#[test]
fn a_first_version_that_takes_too_long_ends_the_server() {
    let mut world = World::new(settings(1));
    world.on(Event::Compiling { limits: LIMITS });
    world.pass(61 * SECOND);
    world.compile_failed("killed by SIGKILL");
    let Some(Some((Status::Application, why))) = &world.ended else {
        panic!("{:?}", world.ended);
    };
    assert!(why.contains("--limit-compile-time"), "{why}");
}

#[test]
fn steps_are_waited_for_unless_a_reload_is_asked_for_twice() {
    let mut world = reloading();
    world.on(Event::Stepping { limit: STEP });
    world.pass(STEP - SECOND);
    world.on(Event::Reload);
    assert!(!world.killed_compiler);
    assert!(world.has_said("ask for it once more"));
    world.on(Event::Reload);
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    assert_eq!(world.compiling, Some(3));
}

#[test]
fn a_stop_does_not_wait_for_steps() {
    let mut world = reloading();
    world.on(Event::Stepping { limit: STEP });
    world.on(Event::Stop);
    assert!(world.killed_compiler);
}

#[test]
fn code_that_was_found_and_crashes_its_workers_is_dropped_and_made_again_once() {
    for kept in [false, true] {
        let mut world = World::new(settings(3));
        world.found();
        let id = world.doing(ProcessState::Starting)[1];
        world.crashes(id);
        world.reap();
        assert_eq!((&world.dropped[..], world.compiling), (&[1][..], Some(2)));
        assert!(world.has_said("is dropped, and made again"));
        // Where it could not be dropped, it is found again.
        match kept {
            true => world.found(),
            false => world.compiled(),
        }
        let id = world.doing(ProcessState::Starting)[0];
        world.crashes(id);
        world.reap();
        assert!(matches!(world.ended, Some(Some((Status::Application, _)))));
        assert_eq!(world.dropped.len(), 1);
    }
}

#[test]
fn code_that_was_made_just_now_is_not_made_again() {
    let mut world = World::new(settings(1));
    world.compiled();
    let id = world.doing(ProcessState::Starting)[0];
    world.crashes(id);
    assert!(world.dropped.is_empty());
    assert!(matches!(world.ended, Some(Some((Status::Application, _)))));
}

#[test]
fn code_that_is_found_to_be_damaged_while_it_serves_is_made_again() {
    let mut world = World::new(settings(2));
    world.found();
    world.settle();
    let id = world.doing(ProcessState::Serving)[0];
    world.crashes(id);
    assert!(world.dropped.is_empty(), "a request may have done that");
    let id = world.doing(ProcessState::Starting)[0];
    let (status, text) = (Status::DamagedCode, "compiled code is damaged".to_owned());
    world.on(Event::LastWords { id, status, text });
    world.ends(id, End::Exited(5));
    assert_eq!((&world.dropped[..], world.compiling), (&[1][..], Some(2)));
    world.compiled();
    world.settle();
    world.pass(30 * SECOND);
    world.settle();
    assert_eq!((world.serving_now(), world.generations()), (2, vec![2]));
}

#[test]
fn code_that_ends_its_compiler_is_made_again_once() {
    let mut world = World::new(settings(1));
    world.compiling = None;
    let why = || "killed by SIGSEGV".to_owned();
    world.on(Event::CodeDied { why: why() });
    assert_eq!(world.compiling.take(), Some(2));
    world.on(Event::CodeDied { why: why() });
    assert!(matches!(world.ended, Some(Some((Status::Application, _)))));
}

#[test]
fn where_the_cache_has_no_room_there_is_one_more_attempt_without() {
    let mut world = World::new(settings(1));
    world.compiling = None;
    let why = || "no space left on device".to_owned();
    world.on(Event::NoRoom { why: why() });
    assert_eq!(world.compiling.take(), Some(2));
    assert!(world.has_said("made again in memory: no space left"));
    world.on(Event::NoRoom { why: why() });
    assert!(matches!(world.ended, Some(Some((Status::Application, _)))));
}

#[test]
fn a_step_that_does_not_end_is_ended() {
    let mut world = reloading();
    world.on(Event::Stepping { limit: STEP });
    world.pass(STEP - SECOND);
    assert!(!world.killed_compiler);
    // Each has as much time.
    world.on(Event::Stepping { limit: STEP });
    world.pass(STEP - SECOND);
    assert!(!world.killed_compiler);
    world.pass(2 * SECOND);
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    assert!(world.has_said("--timeout-before-start (3600 s)"));
}

#[test]
fn a_step_that_begins_when_its_attempt_was_ended_is_ended_too() {
    let mut world = reloading();
    world.on(Event::Reload);
    assert!(std::mem::take(&mut world.killed_compiler));
    world.on(Event::Stepping { limit: STEP });
    assert!(world.killed_compiler);
}

#[test]
fn a_startup_that_does_not_end_is_ended() {
    let mut world = reloading();
    let limit = 60 * SECOND;
    world.on(Event::Priming { limit });
    world.pass(limit - SECOND);
    assert!(!world.killed_compiler);
    world.pass(2 * SECOND);
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    assert!(world.has_said("--timeout-worker-startup (60 s)"));
}

#[test]
fn a_startup_gives_way_to_a_newer_version() {
    let mut world = reloading();
    let limit = 60 * SECOND;
    world.on(Event::Priming { limit });
    world.on(Event::Reload);
    assert!(std::mem::take(&mut world.killed_compiler));
    // It began when its attempt was ended already.
    world.on(Event::Priming { limit });
    assert!(world.killed_compiler);
    world.compile_failed("killed by SIGKILL");
    assert_eq!(world.compiling, Some(3));
}
