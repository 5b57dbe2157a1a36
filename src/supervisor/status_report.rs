//! The supervisor says this about itself in the scoreboard, each time that its loop goes round.

use super::children::Generation;
use super::event_loop::Supervisor;
use super::policy::{Incident, Report};
use super::{Roles, Sockets};
use crate::cache::{CodeName, seal};
use crate::channel::CodeInfo;
use crate::log;
use crate::scoreboard::WorkerEnd;
use crate::sys::clock;
use std::fs::File;

/// `Served` is what is known of the version that is served.
pub struct Served {
    pub number: u32,
    /// The version's compiler said this; none where that is not understood.
    pub info: Option<CodeInfo>,
    /// Its code has this name, where it has one.
    pub name: Option<CodeName>,
    /// The version's code was in the cache already.
    pub found: bool,
    /// The version began to be served at this time, in milliseconds since 1970.
    pub since_ms: u64,
}

impl<R: Roles> Supervisor<R> {
    /// Says who supervises.
    pub(super) fn publish_begin(&self) {
        let silence = self.roles.settings().healthcheck.as_millis() as u64;
        let pid = std::process::id().cast_signed();
        let table = self.forker.scoreboard.table();
        table.begin(pid, silence, clock::now_ms(), clock::unix_ms());
    }

    /// Says what there is to say.
    pub(super) fn publish(&mut self) {
        let now = self.now();
        let canary = self.policy.canary_figures(now);
        let report = self.policy.report();
        let table = self.forker.scoreboard.table();
        table.beat(clock::now_ms());
        // Why a version has failed is there when it is seen that it has.
        self.publish_incidents();
        let table = self.forker.scoreboard.table();
        table.set_canary(canary);
        if self.published.as_ref() != Some(&report) {
            table.set_workers(report.workers);
            table.set_versions(report.versions);
            table.enter(report.state);
            self.published = Some(report);
        }
        self.jobs.publish(table);
        (0..self.admin.take_obeyed()).for_each(|_| table.obeyed());
    }

    /// Says what has happened since this was said last.
    pub(super) fn publish_incidents(&mut self) {
        let table = self.forker.scoreboard.table();
        for incident in self.policy.take_incidents() {
            let at_ms = clock::unix_ms();
            match incident {
                Incident::Reloaded => {
                    table.reloaded(None, at_ms);
                    self.notifier.reloaded(None);
                }
                Incident::ReloadFailed(why) => {
                    table.reloaded(Some(&log::escape(&why).to_string()), at_ms);
                    self.notifier.reloaded(Some(why));
                }
                Incident::CanaryOver { promoted } => table.canary_over(promoted),
                Incident::Ended { pid, reason, why } => table.worker_ended(&WorkerEnd {
                    pid,
                    reason: reason as usize,
                    at_ms,
                    detail: log::escape(&why).to_string(),
                }),
            }
        }
    }

    /// Says how many connections wait.
    pub(super) fn publish_backlogs(&self) {
        let table = self.forker.scoreboard.table();
        table.set_backlogs(&self.roles.sockets().borrow().backlogs());
    }

    /// Says what is served, where another executable has begun to.
    pub(super) fn describe_served(&self) {
        self.generations.iter().for_each(|it| self.describe(it));
    }

    /// Says what is served.
    pub(super) fn describe(&self, generation: &Generation<R>) {
        let code = generation.code.file.try_clone().map(File::from);
        let served = Served {
            number: generation.number,
            info: generation.code.info,
            name: code.ok().and_then(|file| seal::name(&file).ok().flatten()),
            found: generation.code.found.is_some(),
            since_ms: clock::unix_ms(),
        };
        let about = generation.roles.describe(&served);
        self.forker.scoreboard.table().describe(&about);
    }
}

/// `LastReport` is what was said last.
pub type LastReport = Option<Report>;
