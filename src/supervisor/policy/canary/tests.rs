//! These tests compare two versions that are only numbers.

use super::compare::{Certainty, Finding, compare};
use super::{Canary, CanaryDecision, Observations, Stage, workers};
use crate::scoreboard::Answers;
use crate::supervisor::policy::Id;
use crate::supervisor::settings::{CanarySettings, WithoutTraffic};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> CanarySettings {
    CanarySettings {
        share: Some(0.1),
        time: 60 * SECOND,
        max_failures: 0.01,
        max_latency: 1.5,
        without_traffic: WithoutTraffic::Wait,
    }
}

/// `Dice` gives numbers that always come in the same order (SplitMix64, Steele et al. 2014), from nought to one.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `Version` is how one version behaves.
#[derive(Clone, Copy)]
struct Version {
    /// The version is asked this often a second.
    rate: u32,
    fails: f64,
    /// An answer takes this many microseconds; one of twenty takes three times as long.
    takes: f64,
}

const WELL: Version = Version {
    rate: 40,
    fails: 0.0,
    takes: 20_000.0,
};

impl Version {
    fn second(self, answers: &mut Answers, dice: &mut Dice) {
        for _ in 0..self.rate {
            let spread = if dice.roll() < 0.05 { 3.0 } else { 1.0 };
            let micros = self.takes * spread * (0.8 + 0.4 * dice.roll());
            answers.note(micros as u64, dice.roll() < self.fails);
        }
    }
}

fn canary(settings: CanarySettings, since: Instant) -> Canary {
    Canary {
        generation: 2,
        indices: 32..33,
        share: 0.1,
        settings,
        stage: Stage::Warming { since },
        hurries: false,
        old: Observations::default(),
        new: Observations::default(),
        known: BTreeMap::new(),
        first: Id(10),
        in_flight: 0,
    }
}

/// Plays a canary to its end, and says after how many seconds it was over and how.
fn play(old: Version, new: Version, settings: CanarySettings, seed: u64) -> (u32, CanaryDecision) {
    let start = Instant::now();
    let mut canary = canary(settings, start);
    let mut dice = Dice(seed);
    let mut answers = [Answers::default(), Answers::default()];
    for second in 1..=61 {
        for (index, version) in [old, new].into_iter().enumerate() {
            version.second(&mut answers[index], &mut dice);
            let generation = 1 + index as u32;
            canary.see(Id(index as u64), generation, &answers[index]);
        }
        let verdict = canary.verdict(start + second * SECOND);
        if verdict != CanaryDecision::GoOn {
            return (second, verdict);
        }
    }
    panic!("it never ends");
}

fn rolled_back(old: Version, new: Version) -> usize {
    let rounds = 1..=300;
    let back = |seed: &u64| {
        matches!(
            play(old, new, settings(), *seed).1,
            CanaryDecision::RollBack(_)
        )
    };
    rounds.filter(back).count()
}

#[test]
fn one_failure_in_twenty_is_found_within_the_time() {
    let bad = Version {
        fails: 0.05,
        ..WELL
    };
    assert!(rolled_back(WELL, bad) >= 299);
    // With little traffic, too.
    let (old, bad) = (Version { rate: 20, ..WELL }, Version { rate: 4, ..bad });
    let found = rolled_back(old, bad);
    assert!(found >= 240, "{found}");
}

#[test]
fn equal_versions_are_not_rolled_back() {
    for version in [WELL, Version { rate: 3, ..WELL }] {
        let wrong = rolled_back(version, version);
        assert!(wrong <= 3, "{wrong} of 300");
    }
}

#[test]
fn a_flaky_old_version_is_not_held_against_the_new_one() {
    for fails in [0.01, 0.05, 0.3] {
        let flaky = Version { fails, ..WELL };
        let wrong = rolled_back(flaky, flaky);
        assert!(wrong <= 6, "{fails}: {wrong} of 300");
        assert_eq!(rolled_back(flaky, WELL), 0, "one that mends it");
    }
}

#[test]
fn one_that_fails_always_is_given_up_as_soon_as_anything_is_known() {
    let broken = Version { fails: 1.0, ..WELL };
    let (second, verdict) = play(WELL, broken, settings(), 1);
    assert_eq!(second, 1, "{verdict:?}");
    let (second, _) = play(
        Version { rate: 5, ..WELL },
        Version { rate: 5, ..broken },
        settings(),
        1,
    );
    assert_eq!(second, 4, "not before there are twenty requests");
}

/// Where few requests come, one that always fails would go on to fail them until twenty have come.
#[test]
fn a_few_requests_are_enough_at_the_end_where_most_of_them_fail() {
    let start = Instant::now();
    for (requests, failed, is_rolled_back) in [
        (4, 4, false),
        (5, 5, true),
        (8, 7, true),
        (8, 3, false),
        (12, 1, false),
        (19, 0, false),
    ] {
        let mut canary = canary(settings(), start);
        (0..200).for_each(|_| canary.old.answers.note(1000, false));
        (0..requests).for_each(|index| canary.new.answers.note(1000, index < failed));
        let early = canary.verdict(start + 59 * SECOND);
        assert_eq!(early, CanaryDecision::GoOn, "{failed} of {requests}");
        let last = canary.verdict(start + 60 * SECOND);
        let expected = matches!(last, CanaryDecision::RollBack(_));
        assert_eq!(is_rolled_back, expected, "{failed} of {requests}: {last:?}");
    }
}

#[test]
fn one_that_is_slower_is_found_and_one_that_is_a_little_slower_is_not() {
    let slower = |times| Version {
        takes: WELL.takes * times,
        ..WELL
    };
    assert!(rolled_back(WELL, slower(3.0)) >= 299);
    let wrong = rolled_back(WELL, slower(1.15));
    assert!(wrong <= 6, "{wrong} of 300");
    // Nobody notices a millisecond.
    let fast = Version {
        takes: 300.0,
        ..WELL
    };
    assert_eq!(
        rolled_back(
            fast,
            Version {
                takes: 1300.0,
                ..WELL
            }
        ),
        0
    );
}

#[test]
fn without_traffic_it_does_what_it_was_told() {
    let idle = Version { rate: 0, ..WELL };
    let told = |without_traffic| {
        let settings = CanarySettings {
            without_traffic,
            ..settings()
        };
        play(idle, idle, settings, 1)
    };
    assert_eq!(told(WithoutTraffic::Wait), (60, CanaryDecision::Wait));
    assert!(matches!(
        told(WithoutTraffic::Promote),
        (60, CanaryDecision::Promote(_))
    ));
    assert!(matches!(
        told(WithoutTraffic::RollBack),
        (60, CanaryDecision::RollBack(_))
    ));
}

/// One client that keeps its connection may be all the traffic that there is.
#[test]
fn a_new_version_that_alone_is_asked_is_judged_by_what_is_plain() {
    let idle = Version { rate: 0, ..WELL };
    let with = |fails| Version { fails, ..WELL };
    assert!(matches!(
        play(idle, with(0.0), settings(), 1).1,
        CanaryDecision::Promote(_)
    ));
    assert!(matches!(
        play(idle, with(0.9), settings(), 1),
        (1..10, CanaryDecision::RollBack(_))
    ));
    // Who knows how the old one would have done.
    assert_eq!(
        play(idle, with(0.05), settings(), 1).1,
        CanaryDecision::Wait
    );
}

#[test]
fn no_number_of_requests_is_too_large_and_the_reason_has_figures() {
    let many = |failed| Answers {
        count: u64::MAX,
        failed,
        ..Answers::default()
    };
    let all = compare(&many(0), &many(u64::MAX), &settings(), Certainty::Early);
    assert!(matches!(all, Finding::Worse(_)));
    let few = |count, failed| Answers {
        count,
        failed,
        ..Answers::default()
    };
    let found = compare(&few(1000, 1), &few(200, 40), &settings(), Certainty::Early);
    let why = "it fails 40 of 200 requests (20.0 %), the old version 1 of 1000 requests (0.1 %)";
    assert_eq!(found, Finding::Worse(why.to_owned()));
    // A worker may say that it failed more than it was asked.
    let found = compare(&few(100, 500), &few(100, 500), &settings(), Certainty::Last);
    assert_eq!(found, Finding::NotWorse);
}

#[test]
fn what_old_workers_did_before_the_canary_does_not_count() {
    let mut canary = canary(settings(), Instant::now());
    let mut answers = Answers::default();
    (0..100).for_each(|_| answers.note(1000, true));
    canary.see(Id(1), 1, &answers);
    canary.see(Id(2), 2, &answers);
    assert_eq!(
        (canary.old.answers.count, canary.new.answers.count),
        (0, 100)
    );
    answers.note(1000, false);
    canary.see(Id(1), 1, &answers);
    canary.see(Id(2), 2, &answers);
    let seen = (canary.old.answers.count, canary.new.answers.count);
    assert_eq!(seen, (1, 101));
}

/// Guards against versions whose workers are replaced often, of which too little was seen.
#[test]
fn workers_that_were_forked_during_the_canary_count_from_their_beginning() {
    let mut canary = canary(settings(), Instant::now());
    let mut answers = Answers::default();
    (0..100).for_each(|_| answers.note(1000, false));
    canary.see(Id(10), 1, &answers);
    assert_eq!(canary.old.answers.count, 100);
}

#[test]
fn a_new_version_that_answers_nothing_is_not_taken_for_one_that_is_asked_nothing() {
    for without_traffic in [WithoutTraffic::Promote, WithoutTraffic::Wait] {
        let start = Instant::now();
        let settings = CanarySettings {
            without_traffic,
            ..settings()
        };
        let time = settings.time;
        let mut canary = canary(settings, start);
        let mut answers = Answers::default();
        canary.see(Id(1), 1, &answers);
        (0..100).for_each(|_| answers.note(1000, false));
        canary.see(Id(1), 1, &answers);
        canary.see(Id(2), 2, &Answers::default());
        canary.in_flight = 3;
        let CanaryDecision::RollBack(why) = canary.verdict(start + time) else {
            panic!("it goes on");
        };
        let expected =
            "it has answered none of the 3 requests that it has begun, the old version 100";
        assert_eq!(why, expected);
    }
}

#[test]
fn the_new_version_has_at_least_its_share_of_all_workers() {
    for (share, others, canary) in [
        (0.1, 1, 1),
        (0.1, 4, 1),
        (0.1, 9, 1),
        (0.1, 10, 2),
        (0.25, 6, 2),
        (0.5, 1, 1),
        (0.5, 8, 8),
        (0.001, 8, 1),
    ] {
        assert_eq!(workers(share, others), canary, "{share} of {others}");
    }
}
