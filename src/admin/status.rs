//! This file makes one JSON document of a reading. `docs/status.schema.json` describes its form.

use super::health;
use super::metrics::phase_name;
use super::reading::{Reading, WorkerReading};
use crate::scoreboard::totals::{self, END_REASONS, Family};
use crate::scoreboard::{JobFigures, ServerState, VersionFigures, WorkerPhase};
use serde_json::{Value, json};

/// Makes the document.
pub fn document(reading: &Reading) -> Value {
    let about: Value = serde_json::from_str(&reading.about).unwrap_or_default();
    let (live, ready) = (health::live(reading), health::ready(reading));
    let workers = reading.workers.iter();
    let workers: Vec<Value> = workers.map(|it| worker(reading, it)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": reading.supervisor,
        "state": state_name(reading.state),
        "live": live.is_well,
        "ready": ready.is_well,
        "reasons": ready.reasons,
        "started_at": seconds(reading.started_at_ms),
        "uptime_seconds": reading.uptime.as_secs_f64(),
        "component": about["component"],
        "listeners": about["listeners"],
        "cpu_seconds": reading.totals.one(totals::CPU) as f64 / 1e6,
        "workers_wanted": reading.numbers.wanted,
        "workers_min": reading.numbers.least,
        "workers_max": reading.numbers.most,
        "workers": workers,
        "requests": requests(reading),
        "reloads": reloads(reading),
        "ended_workers": ended(reading),
        "jobs": reading.jobs.iter().map(job).collect::<Vec<Value>>(),
        "mounts": mounts(reading),
    })
}

/// Describes each mount as a server of its own; one that is idle has no more than its place.
fn mounts(reading: &Reading) -> Vec<Value> {
    let described = reading.mounts.iter().map(|mount| {
        let running = mount.server.as_ref();
        let running = running.filter(|server| server.state != ServerState::Idle);
        let mut described = match running {
            Some(server) => document(server),
            None => json!({"state": "idle", "component": {"path": mount.component}}),
        };
        described["at"] = json!(mount.name);
        described
    });
    described.collect()
}

fn requests(reading: &Reading) -> Value {
    let totals = &reading.totals;
    let sum = |of: fn(&WorkerReading) -> u32| -> u64 {
        reading.workers.iter().map(|it| u64::from(of(it))).sum()
    };
    let by_class = (0..totals::CLASSES.len()).map(|class| {
        let count = totals.responses(class);
        (totals::CLASSES[class].to_owned(), json!(count))
    });
    json!({
        "total": totals.one(totals::REQUESTS),
        "by_status": Value::Object(by_class.collect()),
        "in_flight": sum(|it| it.in_flight),
        "queued": sum(|it| it.waiting),
        "refused": named(reading, totals::SHED, &totals::SHED_KINDS),
        "guest_failures": named(reading, totals::GUEST_FAILURES, &totals::GUEST_FAILURE_KINDS),
        "duration_seconds": {
            "p50": percentile(reading, 0.5),
            "p90": percentile(reading, 0.9),
            "p99": percentile(reading, 0.99),
        },
        "duration_counts": reading.totals.family(totals::LATENCY),
    })
}

/// Names the counters of a family by the values of its label.
fn named(reading: &Reading, family: Family, names: &[&str]) -> Value {
    let counts = reading.totals.family(family).iter();
    let named = names.iter().zip(counts);
    Value::Object(
        named
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect(),
    )
}

/// Finds the time that this part of all requests took less than: the end of a bucket, or null where there was no
/// request.
fn percentile(reading: &Reading, part: f64) -> Value {
    let counts = reading.totals.family(totals::LATENCY);
    let all = counts
        .iter()
        .fold(0, |sum: u64, count| sum.wrapping_add(*count));
    let wanted = (all as f64 * part).ceil() as u64;
    let mut below = 0_u64;
    for (bucket, count) in counts.iter().enumerate() {
        below = below.wrapping_add(*count);
        if all > 0 && below >= wanted {
            return json!((1_u64 << bucket) as f64 / 1e6);
        }
    }
    Value::Null
}

fn reloads(reading: &Reading) -> Value {
    let outcomes = reading.totals.family(totals::RELOADS);
    let canaries = reading.totals.family(totals::CANARIES);
    let failed = !reading.failure.is_empty();
    let last = (reading.reloaded_at_ms > 0).then(|| {
        json!({
            "outcome": if failed { "failure" } else { "success" },
            "at": seconds(reading.reloaded_at_ms),
            "reason": failed.then_some(&reading.failure),
        })
    });
    json!({
        "generation": reading.versions.served,
        "in_progress": reading.versions.changing,
        "succeeded": outcomes.first().copied().unwrap_or_default(),
        "failed": outcomes.get(1).copied().unwrap_or_default(),
        "last": last,
        "promoted": canaries.first().copied().unwrap_or_default(),
        "rolled_back": canaries.get(1).copied().unwrap_or_default(),
        "canary": canary(reading),
    })
}

/// Describes the canary that runs; null where there is none.
fn canary(reading: &Reading) -> Value {
    let Some(canary) = reading.canary else {
        return Value::Null;
    };
    let version = |it: VersionFigures| {
        json!({
            "requests": it.requests,
            "failed": it.failed,
            "p99_seconds": (it.p99_us > 0).then_some(it.p99_us as f64 / 1e6),
        })
    };
    json!({
        "generation": canary.generation,
        "state": if canary.is_waiting { "waiting" } else { "comparing" },
        "workers": canary.workers,
        "elapsed_seconds": seconds(canary.elapsed_ms),
        "time_seconds": seconds(canary.time_ms),
        "old": version(canary.old),
        "new": version(canary.new),
    })
}

/// Describes a periodic job.
fn job(it: &JobFigures) -> Value {
    let last = (it.ended_at_ms > 0).then(|| {
        json!({
            "outcome": if it.failure.is_empty() { "success" } else { "failure" },
            "at": seconds(it.ended_at_ms),
            "duration_seconds": seconds(it.took_ms),
            "reason": (!it.failure.is_empty()).then_some(&it.failure),
        })
    });
    json!({
        "component": it.component,
        "every_seconds": seconds(it.period_ms),
        "pid": (it.pid != 0).then_some(it.pid),
        "running_since": (it.pid != 0).then(|| seconds(it.began_at_ms)),
        "succeeded": it.runs - it.failures,
        "failed": it.failures,
        "left_out": it.left_out,
        "last": last,
    })
}

fn ended(reading: &Reading) -> Vec<Value> {
    let ends = reading.ends.iter().map(|end| {
        json!({
            "pid": end.pid,
            "at": seconds(end.at_ms),
            "reason": END_REASONS.get(end.reason).copied().unwrap_or("exited"),
            "detail": end.detail,
        })
    });
    ends.collect()
}

fn worker(reading: &Reading, it: &WorkerReading) -> Value {
    // What was asked last is being answered as long as something is.
    let answering = (it.in_flight > 0 && !it.asked.is_empty()).then(|| {
        json!({
            "request": it.asked,
            "since_seconds": it.asked_age.as_secs_f64(),
        })
    });
    let hangs = it.phase == WorkerPhase::Ready && it.hangs(reading.silence);
    json!({
        "slot": it.slot,
        "pid": it.pid,
        "state": if hangs { "hung" } else { phase_name(it.phase) },
        "generation": it.generation,
        "age_seconds": it.age.as_secs_f64(),
        "connections": it.connections,
        "websockets": it.websockets,
        "in_flight": it.in_flight,
        "queued": it.waiting,
        "requests": it.requests,
        "failures": it.failures,
        "busy": it.busy,
        "memory_bytes": it.memory,
        "heartbeat_seconds_ago": it.heartbeat_age.as_secs_f64(),
        "answering": answering,
    })
}

fn state_name(state: ServerState) -> &'static str {
    match state {
        ServerState::Starting => "starting",
        ServerState::Serving => "serving",
        ServerState::Delaying => "stopping soon",
        ServerState::Draining => "draining",
        ServerState::Ending => "ending",
        ServerState::Idle => "idle",
    }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::health::tests::{reading, worker};
    use super::*;

    #[test]
    fn a_worker_that_answers_says_what_and_one_that_does_not_says_nothing() {
        let mut reading = reading(vec![
            worker(WorkerPhase::Ready),
            worker(WorkerPhase::Draining),
        ]);
        reading.workers[1].in_flight = 0;
        let document = document(&reading);
        assert_eq!(document["workers"][0]["answering"]["request"], "GET /x");
        assert_eq!(document["workers"][1]["answering"], Value::Null);
        assert_eq!(document["workers"][1]["state"], "draining");
        assert_eq!(document["requests"]["duration_seconds"]["p50"], Value::Null);
    }

    #[test]
    fn a_worker_that_is_silent_is_shown_as_hung() {
        let mut reading = reading(vec![worker(WorkerPhase::Ready)]);
        reading.workers[0].heartbeat_age = reading.silence * 2;
        assert_eq!(document(&reading)["workers"][0]["state"], "hung");
    }
}
