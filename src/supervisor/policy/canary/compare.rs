//! A pure function says whether a new version is worse than the old one, by what both have answered over the same time.
//!
//! What is seen of a version is a sample of what it would do. Shares are therefore compared by the bounds within which
//! they are with a chosen certainty (Wilson 1927), and the difference of two by those of both (Newcombe 1998, method
//! 10): few requests give wide bounds, so that a verdict does not jump at small numbers.

use super::super::super::settings::CanarySettings;
use crate::scoreboard::Answers;

/// No verdict is given on fewer requests of a version, unless it is plain.
pub const LEAST: u64 = 20;

/// A last verdict is given on so few only where the difference is this plain.
const FEWEST: u64 = 5;
const PLAIN: f64 = 0.25;

/// Times are not compared by fewer.
const LEAST_TIMED: u64 = 100;

/// Answers that take this much longer are not slower in a way that anybody would notice, in microseconds.
const UNNOTICED: f64 = 5000.0;

/// This share of all answers, the slowest, does not count.
const SLOWEST: f64 = 0.01;

/// `Certainty` is how sure a verdict has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The look is one of many: one in two thousand is wrong.
    Early,
    /// The look is the last: one in a hundred is wrong.
    Last,
}

impl Certainty {
    /// Gives it in standard deviations.
    fn deviations(self) -> f64 {
        match self {
            Certainty::Early => 3.3,
            Certainty::Last => 2.33,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    TooFew,
    NotWorse,
    /// This is how.
    Worse(String),
}

/// Compares two versions.
pub fn compare(
    old: &Answers,
    new: &Answers,
    settings: &CanarySettings,
    certainty: Certainty,
) -> Finding {
    let deviations = certainty.deviations();
    if new.count < LEAST {
        let is_enough = new.count >= FEWEST && old.count >= LEAST && certainty == Certainty::Last;
        let allowed = settings.max_failures.max(PLAIN);
        return match is_enough && least_difference(old, new, deviations) > allowed {
            true => Finding::Worse(failures(old, new)),
            false => Finding::TooFew,
        };
    }
    if old.count < LEAST {
        return alone(new, deviations);
    }
    if least_difference(old, new, deviations) > settings.max_failures {
        return Finding::Worse(failures(old, new));
    }
    match slower(old, new, settings, certainty) {
        Some(why) => Finding::Worse(why),
        None => Finding::NotWorse,
    }
}

/// Judges a new version where nothing is known of the old one: only what is plain is said of it.
fn alone(new: &Answers, deviations: f64) -> Finding {
    let (least, _) = bounds(new.failed as f64, new.count as f64, deviations);
    match new.failed {
        0 => Finding::NotWorse,
        _ if least > 0.5 => Finding::Worse(format!("it fails {}", share(new))),
        _ => Finding::TooFew,
    }
}

/// Gives the bounds of a share that was found to be `found` of `count`.
fn bounds(found: f64, count: f64, deviations: f64) -> (f64, f64) {
    let part = (found / count).clamp(0.0, 1.0);
    let square = deviations * deviations;
    let scale = 1.0 + square / count;
    let centre = (part + square / (2.0 * count)) / scale;
    let spread = part * (1.0 - part) / count + square / (4.0 * count * count);
    let half = deviations / scale * spread.sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// Gives by how much larger a share the new version fails, at least.
fn least_difference(old: &Answers, new: &Answers, deviations: f64) -> f64 {
    let of = |it: &Answers| {
        let (failed, count) = (it.failed as f64, it.count as f64);
        let part = (failed / count).clamp(0.0, 1.0);
        (part, bounds(failed, count, deviations))
    };
    let ((old, (_, old_most)), (new, (new_least, _))) = (of(old), of(new));
    new - old - (new - new_least).hypot(old_most - old)
}

/// Says by what the answers of the new version are slower, where they are.
fn slower(
    old: &Answers,
    new: &Answers,
    settings: &CanarySettings,
    certainty: Certainty,
) -> Option<String> {
    let (before, now) = (old.timed(), new.timed());
    if before < LEAST_TIMED || now < LEAST_TIMED {
        return None;
    }
    // What is seen of the old version may have missed its slowest answers by chance.
    let chance = (SLOWEST * (1.0 - SLOWEST) / before as f64).sqrt();
    let part = 1.0 - SLOWEST + certainty.deviations() / 2.0 * chance;
    let usual = old.quantile(part.min(1.0))?;
    let limit = (usual * settings.max_latency).max(usual + UNNOTICED);
    let (least, _) = bounds(new.longer_than(limit), now as f64, certainty.deviations());
    // A few that are slow say little as long as there are further looks.
    let allowed = match certainty {
        Certainty::Early => 0.5,
        Certainty::Last => SLOWEST,
    };
    let shown = |of: &Answers| of.quantile(1.0 - SLOWEST).unwrap_or_default() / 1000.0;
    (least > allowed).then(|| {
        format!(
            "99 of 100 of its answers take up to {:.1} ms, those of the old version {:.1} ms (--canary-max-latency {}x)",
            shown(new),
            shown(old),
            settings.max_latency
        )
    })
}

fn failures(old: &Answers, new: &Answers) -> String {
    let (new, old) = (share(new), share(old));
    format!("it fails {new}, the old version {old}")
}

/// Writes how many requests were failed, as `12 of 240 requests (5.0 %)`.
pub fn share(of: &Answers) -> String {
    let part = of.failed as f64 / of.count.max(1) as f64 * 100.0;
    format!("{} of {} requests ({part:.1} %)", of.failed, of.count)
}
