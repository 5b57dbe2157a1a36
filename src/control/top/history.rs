//! A `History` has what the server said lately, and what follows from the differences: rates, percentiles, and failures
//! that happened.

use super::sample::{Sample, WorkerEnd, WorkerSample, plain};
use crate::scoreboard::totals::BAD_ENDS;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Percentiles are of the requests that ended within this time.
const WINDOW: Duration = Duration::from_secs(10);

/// Rates that are remembered: as many as a wide terminal shows.
const RATES: usize = 400;

/// Failures that are remembered.
const FAILURES: usize = 100;

/// A `RecentFailure` is something that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentFailure {
    /// The failure happened last at this time, in seconds since 1970.
    pub at: f64,
    pub what: String,
    /// The failure happened this often while the server was watched; failures of the same kind share a line.
    pub count: u64,
}

/// Times are since the view began.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<(Duration, Sample)>,
    /// Requests a second, the newest first.
    rates: VecDeque<u64>,
    failures: Vec<RecentFailure>,
}

impl History {
    pub fn add(&mut self, sample: Sample, now: Duration) {
        let before = self.latest();
        let happened = before.map_or_else(Vec::new, |before| counted(before, &sample));
        let told = told(before, &sample);
        self.failures.extend(happened.into_iter().chain(told));
        self.merge_failures();
        self.samples.push_back((now, sample));
        let rate = self.rate(|sample| sample.requests.total);
        self.rates.push_front(rate.round() as u64);
        self.rates.truncate(RATES);
        while self.samples.len() > 2 && now - self.samples[0].0 > WINDOW {
            self.samples.pop_front();
        }
    }

    pub fn latest(&self) -> Option<&Sample> {
        self.samples.back().map(|(_, sample)| sample)
    }

    /// Requests a second, the newest first.
    pub fn rates(&self) -> impl Iterator<Item = u64> {
        self.rates.iter().copied()
    }

    /// Returns what went wrong, the newest first.
    pub fn failures(&self) -> &[RecentFailure] {
        &self.failures
    }

    /// Computes by how much a counter grew in a second, of late.
    pub fn rate(&self, of: impl Fn(&Sample) -> u64) -> f64 {
        self.per_second(|before, after| of(after).saturating_sub(of(before)) as f64)
    }

    /// Returns how many processors the workers took of late.
    pub fn processors(&self) -> f64 {
        self.per_second(|before, after| (after.cpu_seconds - before.cpu_seconds).max(0.0))
    }

    /// Requests a second of one worker.
    pub fn rate_of(&self, worker: &WorkerSample) -> f64 {
        self.per_second(|before, _| {
            let mut workers = before.workers.iter();
            let before = workers.find(|it| it.pid == worker.pid);
            let requests = before.map_or(0, |it| it.requests);
            worker.requests.saturating_sub(requests) as f64
        })
    }

    fn per_second(&self, difference: impl Fn(&Sample, &Sample) -> f64) -> f64 {
        let mut newest = self.samples.iter().rev();
        let (Some((now, after)), Some((then, before))) = (newest.next(), newest.next()) else {
            return 0.0;
        };
        let time = (*now - *then).as_secs_f64().max(0.001);
        difference(before, after) / time
    }

    /// Gives the time that this part of the last requests took less than, in seconds; none where there were none.
    pub fn percentile(&self, part: f64) -> Option<f64> {
        let ((_, before), (_, after)) = (self.samples.front()?, self.samples.back()?);
        let before = before.requests.duration_counts.iter().copied();
        let before = before.chain(std::iter::repeat(0));
        let counts = after.requests.duration_counts.iter().zip(before);
        let counts: Vec<u64> = counts
            .map(|(after, before)| after.saturating_sub(before))
            .collect();
        percentile(&counts, part)
    }

    /// Makes one line for each kind of failure, the newest first.
    fn merge_failures(&mut self) {
        let mut merged: Vec<RecentFailure> = Vec::new();
        for failure in self.failures.drain(..) {
            match merged.iter_mut().find(|it| it.what == failure.what) {
                Some(same) => {
                    same.count = same.count.saturating_add(failure.count);
                    same.at = same.at.max(failure.at);
                }
                None => merged.push(failure),
            }
        }
        merged.sort_by(|one, other| other.at.total_cmp(&one.at));
        merged.truncate(FAILURES);
        self.failures = merged;
    }
}

/// Failures that show as counters that have grown.
fn counted(before: &Sample, after: &Sample) -> Vec<RecentFailure> {
    let grown = |before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, what: &str| {
        let mut found = Vec::new();
        for (kind, count) in after {
            let count = count.saturating_sub(before.get(kind).copied().unwrap_or(0));
            if count > 0 {
                let what = format!("{what}: {}", plain(kind).replace('_', " "));
                found.push((what, count));
            }
        }
        found
    };
    let (old, new) = (&before.requests, &after.requests);
    let failed = grown(&old.guest_failures, &new.guest_failures, "request failed");
    let refused = grown(&old.refused, &new.refused, "request refused");
    let at = after.at();
    let failures = failed.into_iter().chain(refused);
    failures
        .map(|(what, count)| RecentFailure { at, what, count })
        .collect()
}

/// Failures that the server names one by one, and had not named before.
fn told(before: Option<&Sample>, after: &Sample) -> Vec<RecentFailure> {
    let known = |end: &WorkerEnd| {
        let mut ends = before.iter().flat_map(|it| &it.ended_workers);
        ends.any(|it| it.pid == end.pid && it.at == end.at)
    };
    let ends = after.ended_workers.iter();
    let bad = ends.filter(|end| BAD_ENDS.contains(&end.reason.as_str()) && !known(end));
    let ends = bad.map(|end| {
        let reason = end.reason.replace('_', " ");
        let what = match end.detail.is_empty() {
            true => format!("worker [{}] {reason}", end.pid),
            false => format!("worker [{}] {reason}: {}", end.pid, plain(&end.detail)),
        };
        (end.at, what)
    });
    let before = before.and_then(|it| it.reloads.last.as_ref());
    let reload = after.reloads.last.iter();
    let failed = reload.filter(|it| it.outcome == "failure");
    let failed = failed.filter(|it| before.is_none_or(|before| before.at != it.at));
    let reloads = failed.map(|it| {
        let why = plain(it.reason.as_deref().unwrap_or_default());
        (it.at, format!("reload failed: {why}"))
    });
    let failures = ends.chain(reloads);
    let count = 1;
    failures
        .map(|(at, what)| RecentFailure { at, what, count })
        .collect()
}

/// Computes a percentile of these counts, where number `n` counts what took from 2^(n-1) to 2^n microseconds. Within a
/// bucket values are taken to be spread evenly on a logarithmic scale.
fn percentile(counts: &[u64], part: f64) -> Option<f64> {
    let all: f64 = counts.iter().map(|count| *count as f64).sum();
    let wanted = all * part;
    let mut below = 0.0;
    for (bucket, count) in counts.iter().map(|count| *count as f64).enumerate() {
        if count > 0.0 && below + count >= wanted {
            let within = ((wanted - below) / count).clamp(0.0, 1.0);
            return Some(2_f64.powf(bucket as f64 - 1.0 + within) / 1e6);
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sample(value: Value) -> Sample {
        serde_json::from_value(value).unwrap()
    }

    fn history(values: &[Value]) -> History {
        let mut history = History::default();
        for (second, value) in (0..).zip(values) {
            history.add(sample(value.clone()), Duration::from_secs(second));
        }
        history
    }

    #[test]
    fn rates_are_of_the_last_second_and_never_below_nought() {
        let total = |count: u64| json!({"requests": {"total": count}});
        let requests = |sample: &Sample| sample.requests.total;
        assert_eq!(history(&[total(7)]).rate(requests), 0.0);
        let watched = history(&[total(0), total(10), total(17)]);
        assert_eq!(watched.rate(requests), 7.0);
        assert_eq!(watched.rates().collect::<Vec<_>>(), [7, 10, 0]);
        assert_eq!(history(&[total(u64::MAX), total(1)]).rate(requests), 0.0);
    }

    #[test]
    fn a_worker_has_the_rate_of_its_own_process() {
        let workers = |counts: &[(i64, u64)]| {
            let each = counts.iter();
            let each = each.map(|(pid, count)| json!({"pid": pid, "requests": count}));
            json!({"workers": each.collect::<Vec<_>>()})
        };
        let watched = history(&[workers(&[(1, 5), (2, 100)]), workers(&[(1, 8), (3, 4)])]);
        let latest = watched.latest().unwrap().workers.clone();
        let rates: Vec<f64> = latest.iter().map(|it| watched.rate_of(it)).collect();
        assert_eq!(rates, [3.0, 4.0]);
    }

    #[test]
    fn percentiles_are_of_the_last_requests_and_within_their_bucket() {
        let counts = |counts: &[u64]| json!({"requests": {"duration_counts": counts}});
        let watched = history(&[counts(&[0, 0, 1000, 0]), counts(&[0, 0, 1000, 8])]);
        let median = watched.percentile(0.5).unwrap();
        assert!((4e-6..8e-6).contains(&median), "{median}");
        assert_eq!(history(&[counts(&[0, 5])]).percentile(0.5), None);
        assert_eq!(history(&[json!({}), json!({})]).percentile(0.5), None);
        assert_eq!(percentile(&[0, 1, 0], 1.0), Some(2e-6));
        let odd = percentile(&[u64::MAX, u64::MAX], 0.99).unwrap();
        assert!(odd <= 2e-6);
    }

    #[test]
    fn failures_are_told_once_and_those_of_a_kind_share_a_line() {
        let at = |uptime: u64, traps: u64, ends: Value| {
            json!({
                "started_at": 1000, "uptime_seconds": uptime, "ended_workers": ends,
                "requests": {"guest_failures": {"trap": traps, "timeout": 0}},
            })
        };
        let crashed = json!({"pid": 7, "at": 1002, "reason": "crashed", "detail": "SIGSEGV\u{1b}"});
        let reloaded = json!({"pid": 8, "at": 1002, "reason": "reload", "detail": ""});
        let ends = json!([crashed, reloaded]);
        let watched = history(&[
            at(1, 5, json!([])),
            at(3, 7, ends.clone()),
            at(4, 10, ends.clone()),
            at(5, 10, ends),
        ]);
        let failures: Vec<_> = watched.failures().iter().collect();
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert_eq!(
            (failures[0].what.as_str(), failures[0].count, failures[0].at),
            ("request failed: trap", 5, 1004.0)
        );
        assert_eq!(failures[1].what, "worker [7] crashed: SIGSEGV\\u{1b}");
        assert_eq!(failures[1].count, 1);
    }

    #[test]
    fn what_failed_before_the_view_began_is_told_too() {
        let last = json!({"outcome": "failure", "at": 900.5, "reason": "no component"});
        let watched = history(&[json!({"started_at": 1000, "reloads": {"last": last}})]);
        assert_eq!(watched.failures()[0].what, "reload failed: no component");
        assert_eq!(watched.failures()[0].at, 900.5);
    }
}
