//! Two questions about the server's health have two answers, each with its reasons: whether it lives, and whether it
//! should be sent requests. They are pure rules over a reading.

use super::reading::{Reading, WorkerReading};
use crate::scoreboard::{ServerState, WorkerPhase};
use serde_json::{Value, json};
use std::time::Duration;

/// The supervisor's loop goes round at least once a second. A disk may hold it up for some time.
const SUPERVISOR_SILENCE: Duration = Duration::from_secs(10);

/// The serving loop says twice a second that it is alive.
const LEAST_SILENCE: Duration = Duration::from_millis(1500);

/// A worker that has refused a request for want of room is taken to be full for this long.
const SHEDDING: Duration = Duration::from_secs(2);

/// `Health` answers one of the questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub is_well: bool,
    /// These reasons speak against it.
    pub reasons: Vec<String>,
    detail: Value,
}

impl Health {
    pub fn document(&self) -> Value {
        let status = if self.is_well { "ok" } else { "unavailable" };
        let mut document = json!({"status": status, "reasons": self.reasons});
        if let (Some(document), Value::Object(detail)) = (document.as_object_mut(), &self.detail) {
            document.extend(detail.clone());
        }
        document
    }
}

/// Says whether the supervisor lives and its loop goes round.
pub fn live(reading: &Reading) -> Health {
    let silent = reading.beat_age;
    let mut reasons = Vec::new();
    if silent > SUPERVISOR_SILENCE {
        let seconds = silent.as_secs();
        reasons.push(format!("the supervisor has been silent for {seconds} s"));
    }
    Health {
        is_well: reasons.is_empty(),
        reasons,
        detail: json!({"supervisor_silent_seconds": silent.as_secs_f64()}),
    }
}

/// Says whether enough workers take requests: at least half of those that there should be.
pub fn ready(reading: &Reading) -> Health {
    let mut reasons = live(reading).reasons;
    match reading.state {
        ServerState::Starting => reasons.push("the server is starting".to_owned()),
        ServerState::Serving if !reading.withdrawn => {}
        _ => reasons.push("the server is stopping".to_owned()),
    }
    let silence = reading.silence.max(LEAST_SILENCE);
    let ready = || {
        reading
            .workers
            .iter()
            .filter(|it| it.phase == WorkerPhase::Ready)
    };
    let sheds = |worker: &WorkerReading| worker.shed_age.is_some_and(|age| age < SHEDDING);
    let hanging = ready().filter(|worker| worker.hangs(silence)).count();
    let shedding = ready()
        .filter(|worker| !worker.hangs(silence) && sheds(worker))
        .count();
    let serving = ready().count() - hanging - shedding;
    let enough = (reading.numbers.wanted as usize).div_ceil(2).max(1);
    if serving < enough {
        let mut reason = format!(
            "{serving} of {} workers take requests, and {enough} would do",
            reading.numbers.wanted
        );
        for (count, what) in [
            (hanging, "hang"),
            (shedding, "refuse requests for want of room"),
        ] {
            if count > 0 {
                reason += &format!("; {count} {what}");
            }
        }
        reasons.push(reason);
    }
    Health {
        is_well: reasons.is_empty(),
        reasons,
        detail: json!({
            "workers": {
                "wanted": reading.numbers.wanted,
                "ready": ready().count(),
                "serving": serving,
                "hanging": hanging,
                "shedding": shedding,
            }
        }),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::scoreboard::WorkerNumbers;

    pub fn worker(phase: WorkerPhase) -> WorkerReading {
        WorkerReading {
            slot: 0,
            pid: 4711,
            phase,
            generation: 1,
            age: Duration::from_secs(60),
            heartbeat_age: Duration::from_millis(300),
            connections: 3,
            websockets: 2,
            in_flight: 1,
            waiting: 0,
            requests: 17,
            failures: 2,
            busy: 0.25,
            memory: 12 << 20,
            cpu_micros: 1_500_000,
            instances: (2, 1),
            shed_age: None,
            asked: "GET /x".to_owned(),
            asked_age: Duration::from_secs(1),
        }
    }

    pub fn reading(workers: Vec<WorkerReading>) -> Reading {
        Reading {
            state: ServerState::Serving,
            numbers: WorkerNumbers {
                wanted: workers.len() as u32,
                ..WorkerNumbers::default()
            },
            silence: Duration::from_secs(5),
            workers,
            ..Reading::default()
        }
    }

    fn is_ready(change: impl FnOnce(&mut Reading)) -> bool {
        let mut reading = reading(vec![worker(WorkerPhase::Ready); 2]);
        change(&mut reading);
        let health = ready(&reading);
        assert_eq!(health.is_well, health.reasons.is_empty());
        health.is_well
    }

    #[test]
    fn a_server_is_ready_while_half_of_its_workers_take_requests() {
        let silent = Duration::from_secs(6);
        assert!(is_ready(|_| {}));
        assert!(is_ready(|it| it.workers[0].phase = WorkerPhase::Draining));
        assert!(!is_ready(|it| it.workers.clear()));
        assert!(!is_ready(|it| it.numbers.wanted = 5));
        assert!(is_ready(|it| it.workers[0].heartbeat_age = silent));
        assert!(!is_ready(|it| {
            it.workers
                .iter_mut()
                .for_each(|it| it.heartbeat_age = silent);
        }));
        assert!(!is_ready(|it| {
            it.workers
                .iter_mut()
                .for_each(|it| it.shed_age = Some(Duration::ZERO));
        }));
        assert!(is_ready(|it| {
            it.workers
                .iter_mut()
                .for_each(|it| it.shed_age = Some(silent));
        }));
    }

    #[test]
    fn a_server_that_starts_or_stops_is_not_ready_and_lives() {
        for state in [
            ServerState::Starting,
            ServerState::Delaying,
            ServerState::Draining,
        ] {
            assert!(!is_ready(|it| it.state = state));
            assert!(
                live(&Reading {
                    state,
                    ..Reading::default()
                })
                .is_well
            );
        }
        assert!(!is_ready(|it| it.withdrawn = true));
    }

    #[test]
    fn a_supervisor_that_is_silent_neither_lives_nor_is_ready() {
        let beat_age = Duration::from_secs(11);
        assert!(!is_ready(|it| it.beat_age = beat_age));
        let health = live(&Reading {
            beat_age,
            ..Reading::default()
        });
        assert!(!health.is_well);
        assert_eq!(health.document()["status"], "unavailable");
    }
}
