//! What the end of a worker means.

use super::{Id, Mode, Policy, State, Worker};
use crate::exit::Status;
use crate::log::Level;
use crate::sys::process::End;
use std::time::{Duration, Instant};

impl Policy {
    /// A worker is gone and reaped.
    pub(super) fn ended(&mut self, id: Id, end: End, memory: bool, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        match &worker.state {
            State::Leaving { reason, .. } | State::Killed { reason } => {
                let text = format!("Child process [{}] ended: {reason}", worker.pid);
                self.log(Level::Info, text);
            }
            State::Starting { .. } => self.ended_while_starting(&worker, end, memory, now),
            State::Ready { since } | State::Stale { since, .. } => {
                let lived = now.saturating_duration_since(*since);
                self.died(&worker, &described(end, memory), lived, now);
            }
        }
    }

    fn ended_while_starting(&mut self, worker: &Worker, end: End, memory: bool, now: Instant) {
        let (status, why) = match &worker.last_words {
            Some((status, text)) => (*status, text.clone()),
            None => {
                let why = described(end, memory);
                (
                    Status::Application,
                    format!("a worker died while it started: {why}"),
                )
            }
        };
        if !self.mode.is_serving() {
            let text = format!(
                "Child process [{}] ended while it started: {why}",
                worker.pid
            );
            self.log(Level::Info, text);
        } else if !self.served {
            self.fail(status, why);
        } else if self.reload.tries(worker.generation) {
            self.trial_failed(&why);
        } else {
            self.died(
                worker,
                &format!("it could not start: {why}"),
                Duration::ZERO,
                now,
            );
        }
    }

    /// A worker that nobody told to leave is gone.
    fn died(&mut self, worker: &Worker, how: &str, lived: Duration, now: Instant) {
        if !self.mode.is_serving() {
            let text = format!("Child process [{}] ended: {how}", worker.pid);
            self.log(Level::Info, text);
            return;
        }
        let mut text = format!("Child process [{}] died: {how}", worker.pid);
        let random = (self.random)();
        if let Some(seat) = self.seats.get_mut(worker.seat) {
            seat.died(lived, now, random);
            if let Some(until) = seat.waits_until(now) {
                let wait = (until - now).as_secs_f64();
                text.push_str(&format!(
                    "; replaced in {wait:.1} s, it is death {} in a row",
                    seat.deaths()
                ));
            }
        }
        self.log(Level::Error, text);
    }

    /// The application cannot start: everything ends, with this status and for this reason.
    pub(super) fn fail(&mut self, status: Status, why: String) {
        self.mode = Mode::Killing {
            failure: Some((status, why)),
        };
        self.kill_all();
    }
}

fn described(end: End, memory: bool) -> String {
    if memory {
        format!("out of memory, {end}")
    } else {
        end.to_string()
    }
}
