//! This file decides what the end of a worker means. Each is one record of the log, with its true reason.

use super::{Id, Policy, Reason, Worker, WorkerState};
use crate::exit::Status;
use crate::log::Level;
use crate::scoreboard::totals::EndReason;
use crate::sys::process::End;
use nix::sys::signal::Signal;
use std::time::Instant;

/// A `Death` says how a process ended, and whether the kernel took it for want of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    pub end: End,
    pub memory: bool,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.memory {
            true => write!(f, "out of memory, {}", self.end),
            // SQLite maps the `-shm` file beside a database, and whoever copies another over it cuts it short.
            false if self.end == End::Killed(Signal::SIGBUS) => write!(
                f,
                "{}: a file that it has mapped was cut short (`-shm` of a database?), or memory is broken",
                self.end
            ),
            false => write!(f, "{}", self.end),
        }
    }
}

impl Death {
    /// Says whether what it executed ended it.
    pub fn is_crash(self) -> bool {
        use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let crashes = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        matches!(self.end, End::Killed(signal) if crashes.contains(&signal))
    }

    /// Gives what the end of a worker is counted as.
    fn counted_as(self) -> EndReason {
        match self.end {
            _ if self.memory => EndReason::OutOfMemory,
            _ if self.is_by_others() => EndReason::Killed,
            End::Killed(_) => EndReason::Crashed,
            End::Exited(_) => EndReason::Exited,
        }
    }

    /// Says whether somebody else killed the process: nobody kills itself in this way.
    pub(super) fn is_by_others(self) -> bool {
        self.end == End::Killed(Signal::SIGKILL) && !self.memory
    }
}

impl Policy {
    /// A worker is gone and reaped.
    pub(super) fn ended(&mut self, id: Id, death: Death, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        match &worker.state {
            WorkerState::Leaving { reason, .. } => self.left(&worker, reason, death),
            WorkerState::Killed { reason, .. } => {
                self.note_end(&worker, reason.counted_as(), &reason.to_string());
                let text = format!("Child process [{}] ended: {reason}", worker.pid);
                self.log(reason.level(), text);
            }
            WorkerState::Starting { .. } => self.ended_while_starting(&worker, death, now),
            WorkerState::Ready { since } => {
                let (how, since) = (how(&worker, death), *since);
                self.died(&worker, &LostWorker { how, death, since }, now);
            }
            WorkerState::Stale { since, reason } => {
                let how = format!("{}; it was being replaced: {reason}", how(&worker, death));
                let since = *since;
                self.died(&worker, &LostWorker { how, death, since }, now);
            }
        }
    }

    /// Notes that a worker that was told to leave did so, or died of it.
    fn left(&mut self, worker: &Worker, reason: &Reason, death: Death) {
        let pid = worker.pid;
        if death.end == End::Exited(0) {
            self.note_end(worker, reason.counted_as(), &reason.to_string());
            self.log(
                reason.level(),
                format!("Child process [{pid}] ended: {reason}"),
            );
        } else {
            let how = how(worker, death);
            self.note_end(worker, death.counted_as(), &format!("{reason}; {how}"));
            let text =
                format!("Child process [{pid}] ended: {reason}; but it drained badly: {how}");
            self.log(Level::Error, text);
        }
    }

    fn ended_while_starting(&mut self, worker: &Worker, death: Death, now: Instant) {
        let (status, why) = match &worker.last_words {
            Some((status, text)) => (*status, text.clone()),
            None => {
                let why = format!("a worker died while it started: {death}");
                (Status::Application, why)
            }
        };
        let pid = worker.pid;
        self.note_end(
            worker,
            death.counted_as(),
            &format!("it could not start: {why}"),
        );
        let damaged = status == Status::DamagedCode || death.is_crash();
        if !self.mode.serves() {
            let text = format!("Child process [{pid}] ended while it started: {why}");
            self.log(Level::Info, text);
        } else if damaged && self.remake(worker.generation, &why, now) {
            let text = format!("Child process [{pid}] ended: it could not start");
            self.log(Level::Info, text);
        } else if !self.served {
            self.fail(status, why, now);
        } else if self.reload.tries(worker.generation) {
            let text = format!("Child process [{pid}] ended: it could not start");
            self.log(Level::Error, text);
            self.trial_failed(&why, now);
        } else {
            let how = format!("it could not start: {why}");
            self.lost(
                worker,
                &LostWorker {
                    how,
                    death,
                    since: now,
                },
                now,
            );
        }
    }

    /// Notes that a worker that nobody told to leave is gone.
    fn died(&mut self, worker: &Worker, loss: &LostWorker, now: Instant) {
        self.note_end(worker, loss.death.counted_as(), &loss.how);
        self.lost(worker, loss, now);
        self.lost_in_canary(worker.generation, loss.death, &loss.how, now);
    }

    /// Logs the loss of a worker that is counted already, and has it replaced.
    fn lost(&mut self, worker: &Worker, loss: &LostWorker, now: Instant) {
        let mut text = format!("Child process [{}] died: {}", worker.pid, loss.how);
        let lived = now.saturating_duration_since(loss.since);
        let random = (self.random)();
        self.last_death = Some(now);
        let backoff = self
            .backoffs
            .get_mut(worker.index)
            .filter(|_| self.mode.serves());
        if let Some(backoff) = backoff {
            match loss.death.is_by_others() {
                true => backoff.was_killed(lived, now, random),
                false => backoff.died(lived, now, random),
            }
            if let Some(until) = backoff.waits_until(now) {
                let wait = (until - now).as_secs_f64();
                let deaths = backoff.deaths();
                text.push_str(&format!(
                    "; replaced in {wait:.1} s, after {deaths} deaths in a row"
                ));
            }
        }
        self.log(Level::Error, text);
    }
}

/// A `LostWorker` was wanted, and has ended.
struct LostWorker {
    how: String,
    death: Death,
    /// The worker served since then.
    since: Instant,
}

/// Gives what is known of how a worker ended.
fn how(worker: &Worker, death: Death) -> String {
    match &worker.last_words {
        Some((_, text)) => format!("{text} ({death})"),
        // It was not told to by the supervisor.
        None if death.end == End::Exited(0) => format!(
            "{death}, as on a signal of somebody else; `wasmserve restart-worker` has another one ready first"
        ),
        None => death.to_string(),
    }
}
