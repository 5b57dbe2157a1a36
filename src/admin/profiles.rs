//! The admin process knows whether profiles can be made by command, and when those of all workers that are meant are
//! written.

use super::commands::{CommandOutcome, Commands, within};
use crate::channel::ProfileRequest;
use crate::scoreboard::WorkerPhase;
use std::cell::Cell;
use std::time::Duration;

/// Writing a profile whose time is over may take this long.
const WRITTEN: Duration = Duration::from_secs(120);

/// A `Profiled` worker is to make a profile.
struct Profiled {
    slot: usize,
    pid: i32,
}

/// Profiles are made no longer, also where nobody waits for them any more.
pub(super) struct Profiling<'a>(&'a Cell<bool>);

impl Drop for Profiling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Commands {
    /// Keeps others from asking for profiles, until what it returns is dropped.
    pub(super) fn begin_profiles(&self) -> Profiling<'_> {
        self.profiling.set(true);
        Profiling(&self.profiling)
    }

    /// Says what speaks against a profile.
    pub(super) fn objection_to_profile(&self, request: ProfileRequest) -> Option<String> {
        if self.profile_directory().is_none() {
            let remedy = "start it with --profile-dir, which says where they are written";
            return Some(format!("the server cannot make profiles: {remedy}"));
        }
        if self.profiling.get() {
            return Some("other profiles are being made".to_owned());
        }
        match (self.profiled(request).is_empty(), request.pid()) {
            (true, Some(pid)) => Some(format!("no worker that serves is process {pid}")),
            (true, None) => Some("no worker serves".to_owned()),
            _ => None,
        }
    }

    /// Returns the directory as the operator named it, made absolute.
    fn profile_directory(&self) -> Option<String> {
        let about = self.scoreboard.table().about();
        let about: serde_json::Value = serde_json::from_str(&about).ok()?;
        about["component"]["profile_dir"]
            .as_str()
            .map(str::to_owned)
    }

    fn profiled(&self, request: ProfileRequest) -> Vec<Profiled> {
        let slots = 0..self.scoreboard.length();
        let serving =
            slots.filter(|slot| self.scoreboard.entry(*slot).phase() == WorkerPhase::Ready);
        let workers = serving.map(|slot| Profiled {
            slot,
            pid: self.scoreboard.entry(slot).pid(),
        });
        workers.filter(|it| request.is_for(it.pid)).collect()
    }

    /// Waits until the profiles are written that were asked for last.
    pub(super) async fn profiles(&self, request: ProfileRequest) -> CommandOutcome {
        let (number, _) = self.scoreboard.table().profile();
        let profiled = self.profiled(request);
        let most = Duration::from_secs(request.seconds()) + WRITTEN;
        let done = within(most, || {
            let over = |it: &Profiled| self.is_gone(it) || self.is_made(it, number).is_some();
            profiled.iter().all(over).then_some(())
        });
        if done.await.is_none() {
            return CommandOutcome::Unheard("the profiles are not written yet".to_owned());
        }
        let made = |it: &&Profiled| self.is_made(it, number) == Some(true);
        let pids: Vec<i32> = profiled.iter().filter(made).map(|it| it.pid).collect();
        let directory = self.profile_directory().unwrap_or_default();
        let files = pids
            .iter()
            .map(|pid| format!("{directory}/profile-{pid}.json"));
        let files = files.collect::<Vec<String>>().join("\n");
        match pids.len() == profiled.len() && !pids.is_empty() {
            true => CommandOutcome::Done(files),
            false => {
                let missing = profiled.len() - pids.len();
                let why = "the log says why, or the worker has ended";
                CommandOutcome::Unheard(format!("{missing} profiles are missing: {why}; {files}"))
            }
        }
    }

    fn is_made(&self, it: &Profiled, number: u32) -> Option<bool> {
        self.scoreboard.slot(it.slot).profiled(number)
    }

    fn is_gone(&self, it: &Profiled) -> bool {
        let entry = self.scoreboard.entry(it.slot);
        entry.phase() == WorkerPhase::Free || entry.pid() != it.pid
    }
}
