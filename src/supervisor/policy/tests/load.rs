//! The number of workers follows the load: played against curves of load that exist only here.

use super::*;

/// An `Outcome` is what a curve came to.
struct Outcome {
    /// Workers served for this many seconds, all together.
    worker_seconds: f64,
    /// A request took this on average, in what it takes where nobody else is there.
    mean_time: f64,
    /// The number of workers changed this often.
    changes: usize,
    most: usize,
    last: usize,
}

fn between(least: usize, most: usize) -> Settings {
    let mut chosen = settings(1);
    chosen.workers = range(least, most);
    chosen
}

/// Serves `load`: how many workers it would keep busy, by the second. A worker takes two seconds to get ready. What
/// there is no worker for waits, and so does whoever comes after it.
fn played(chosen: Settings, load: &[f64]) -> Outcome {
    let mut world = World::serving(chosen);
    let mut backlog: f64 = 0.0;
    let mut outcome = Outcome {
        worker_seconds: 0.0,
        mean_time: 0.0,
        changes: 0,
        most: 0,
        last: world.serving_now(),
    };
    let (mut starting, mut asked) = (BTreeMap::<Id, u32>::new(), 0.0);
    for load in load {
        let workers = world.serving_now() as f64;
        let wanted = load + backlog;
        backlog = (wanted - workers).max(0.0);
        outcome.worker_seconds += workers;
        // A queue is served in the order that it came in, and the busier workers are, the more is before one.
        let busy = (wanted / workers).min(1.0);
        let queueing = 1.0 / (1.0 - busy.min(0.9).powf(workers));
        outcome.mean_time += load * (queueing + backlog / workers);
        asked += load;
        let waiting = (backlog * 10.0 / workers) as u32;
        world.load = WorkerLoad {
            busy,
            waiting,
            in_flight: waiting,
        };
        world.pass(SECOND);
        for id in world.doing(ProcessState::Starting) {
            let seconds = starting.entry(id).or_default();
            *seconds += 1;
            if *seconds >= 2 {
                world.ready(id);
            }
        }
        world.reap();
        let now = world.policy.report().workers.wanted as usize;
        outcome.changes += usize::from(now != outcome.last);
        outcome.last = now;
        outcome.most = outcome.most.max(now);
    }
    outcome.mean_time /= asked.max(f64::MIN_POSITIVE);
    outcome
}

fn steady(load: f64, seconds: usize) -> Vec<f64> {
    vec![load; seconds]
}

/// Gives a day in an hour: little at night, most at noon, and a bit of noise.
fn day() -> Vec<f64> {
    let curve = |second: usize| {
        let angle = second as f64 / 3600.0 * std::f64::consts::TAU;
        let noise = f64::from(u32::try_from(second * 7919 % 13).unwrap()) / 13.0 - 0.5;
        (2.0 - 1.8 * angle.cos() + 0.3 * noise).max(0.0)
    };
    (0..3600).map(curve).collect()
}

/// Somebody else's number of workers, for comparison, is the greater bound.
#[test]
fn a_day_takes_half_of_the_worker_seconds_and_answers_take_no_twice_as_long() {
    let (followed, fixed) = (played(between(1, 8), &day()), played(between(8, 8), &day()));
    let share = followed.worker_seconds / fixed.worker_seconds;
    let longer = followed.mean_time / fixed.mean_time;
    assert!(share <= 0.5, "{share:.2} of the worker seconds");
    assert!(longer <= 2.0, "answers take {longer:.2} times as long");
    assert!(followed.changes <= 30, "{} changes", followed.changes);
}

#[test]
fn a_step_is_followed_within_seconds_and_no_further_than_it_goes() {
    let load = [steady(0.3, 60), steady(4.0, 15)].concat();
    assert!(played(between(1, 8), &load).last >= 6);
    let load = [steady(0.3, 60), steady(4.0, 600)].concat();
    let outcome = played(between(1, 8), &load);
    assert!((6..=8).contains(&outcome.last), "{}", outcome.last);
    let load = [load, steady(0.3, 300)].concat();
    assert_eq!(played(between(1, 8), &load).last, 1);
}

#[test]
fn a_ramp_is_followed_without_turning_back() {
    let up = (0..600).map(|second| f64::from(second) / 100.0);
    let outcome = played(between(1, 12), &up.collect::<Vec<_>>());
    assert!((7..=12).contains(&outcome.last), "{}", outcome.last);
    assert!(outcome.changes < 12, "{} changes", outcome.changes);
}

/// Requests that wait for others take no processor: a worker that has as many as it may is busy all the same.
#[test]
fn workers_that_have_all_the_requests_that_they_may_are_busy() {
    let mut chosen = between(1, 8);
    chosen.concurrency = 10;
    let mut world = World::serving(chosen);
    let mut play = |in_flight, seconds| {
        world.load = WorkerLoad {
            busy: 0.02,
            waiting: 0,
            in_flight,
        };
        for _ in 0..seconds {
            world.pass(SECOND);
            world.settle();
        }
        world.policy.report().workers.wanted
    };
    assert_eq!(play(9, 120), 1);
    assert_eq!(play(10, 5), 2);
    // One fewer would have had too many again.
    assert_eq!(play(4, 120), 2);
    assert_eq!(play(2, 120), 1);
}

/// A moment is no load, and what was added for a minute stays for another.
#[test]
fn a_spike_of_a_second_changes_nothing_and_one_of_a_minute_does_not_flap() {
    let load = [steady(0.2, 60), steady(2.0, 1), steady(0.2, 60)].concat();
    assert_eq!(played(between(1, 8), &load).changes, 0);
    let minute = [steady(0.2, 30), steady(3.0, 30)].concat();
    let outcome = played(between(1, 8), &minute.repeat(20));
    assert!(outcome.changes <= 6, "{} changes", outcome.changes);
}

#[test]
fn a_load_at_any_mark_comes_to_rest() {
    for tenths in 1..80 {
        let load = steady(f64::from(tenths) / 10.0, 1200);
        let outcome = played(between(1, 8), &load);
        assert!(outcome.changes <= 6, "{tenths}: {}", outcome.changes);
    }
}

#[test]
fn neither_bound_is_passed() {
    let outcome = played(
        between(2, 4),
        &[steady(9.0, 120), steady(0.0, 300)].concat(),
    );
    assert_eq!((outcome.most, outcome.last), (4, 2));
}

/// Requests can wait while workers have nothing to do but to wait for others.
#[test]
fn requests_that_wait_bring_another_worker() {
    let mut world = World::serving(between(1, 3));
    world.load = WorkerLoad {
        busy: 0.05,
        waiting: 2,
        in_flight: 2,
    };
    world.pass(4 * SECOND);
    world.settle();
    assert_eq!(world.serving_now(), 2);
    assert!(world.has_said("from 1 to 2: they are busy for 5 % of the time, and 2 requests wait"));
}

#[test]
fn the_bounds_are_moved_by_signals_and_by_name() {
    let mut world = World::serving(between(2, 4));
    let numbers = |world: &World| {
        let workers = world.policy.report().workers;
        (workers.least, workers.wanted, workers.most)
    };
    assert_eq!(numbers(&world), (2, 2, 4));
    world.on(Event::More);
    assert_eq!(numbers(&world), (3, 3, 5));
    world.on(Event::Fewer);
    world.on(Event::Fewer);
    assert_eq!(numbers(&world), (1, 3, 3));
    world.on(Event::Scale(fixed(5)));
    assert_eq!(numbers(&world), (5, 5, 5));
    world.load.busy = 1.0;
    world.settle();
    world.pass(600 * SECOND);
    assert_eq!(numbers(&world), (5, 5, 5), "a number that was set stays");
}

/// A new version is not judged by what it does while it starts.
#[test]
fn nothing_is_changed_while_a_version_is_tried() {
    let mut world = World::serving(between(1, 4));
    world.load.busy = 1.0;
    world.on(Event::Reload);
    world.compiled();
    world.pass(30 * SECOND);
    assert_eq!(world.policy.report().workers.wanted, 1);
    world.settle();
    world.pass(4 * SECOND);
    assert_eq!(world.policy.report().workers.wanted, 2);
}

#[test]
fn an_executable_that_takes_over_has_its_bounds_and_the_number_of_before() {
    let mut before = World::serving(between(1, 4));
    before.load.busy = 1.0;
    before.pass(4 * SECOND);
    before.settle();
    let (served, wanted, workers) = before.policy.handover(before.now);
    assert_eq!(wanted, 2);
    let room = Capacity {
        most: 32,
        slots: 64,
    };
    let left = (served, wanted, workers);
    let (after, _) = Policy::inherit(between(1, 4), room, left, before.now, Box::new(|| 0));
    let workers = after.report().workers;
    assert_eq!((workers.least, workers.wanted, workers.most), (1, 2, 4));
}
