//! A command to the supervisor is given by a record, and is over when the scoreboard shows what came of it.

use crate::channel::{AdminCommand, AdminOrder, CommandSender};
use crate::scoreboard::{Scoreboard, ServerState, Versions, WorkerPhase};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The scoreboard is looked at this often.
const LOOK: Duration = Duration::from_millis(20);

/// The supervisor may take this long to hear of a command.
const HEARD: Duration = Duration::from_secs(30);

/// A command may take this long to be carried out.
const DONE: Duration = Duration::from_secs(800);

/// `BeforeReload` says what a server was before a reload.
#[derive(Clone, Copy, Debug)]
pub struct BeforeReload {
    supervisor: i32,
    attempted: u32,
}

/// A `CommandOutcome` says in words what came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    Done(String),
    /// The command was tried.
    Failed(String),
    /// The command makes no sense now.
    Refused(String),
    /// The supervisor did not answer, or did not finish.
    Unheard(String),
}

impl CommandOutcome {
    /// Says that it is about the server of a mount.
    pub fn about(self, name: &str) -> CommandOutcome {
        let told = |text: String| format!("mount `{name}`: {text}");
        match self {
            CommandOutcome::Done(text) => CommandOutcome::Done(told(text)),
            CommandOutcome::Failed(text) => CommandOutcome::Failed(told(text)),
            CommandOutcome::Refused(text) => CommandOutcome::Refused(told(text)),
            CommandOutcome::Unheard(text) => CommandOutcome::Unheard(told(text)),
        }
    }
}

/// `Commands` are those to one server, of which this scoreboard tells.
pub struct Commands {
    pub(super) scoreboard: Rc<Scoreboard>,
    commands: Rc<CommandSender>,
    /// The supervisor passes them on to the server of this mount; it is meant itself where there is none.
    mount: Option<u16>,
    /// This many commands will have been carried out when the last that was given is.
    expected: Cell<u64>,
    /// Profiles are being made.
    pub(super) profiling: Cell<bool>,
}

impl Commands {
    pub fn new(
        scoreboard: Rc<Scoreboard>,
        commands: &Rc<CommandSender>,
        mount: Option<u16>,
    ) -> Commands {
        Commands {
            expected: Cell::new(scoreboard.table().commands()),
            scoreboard,
            commands: commands.clone(),
            mount,
            profiling: Cell::new(false),
        }
    }

    /// Gives a command, and waits until it is carried out.
    pub async fn give(&self, command: AdminCommand) -> CommandOutcome {
        let table = self.scoreboard.table();
        if !self.is_up() && command != AdminCommand::Stop {
            let why = match self.mount {
                None => "the server is stopping",
                Some(_) => {
                    "it does not run now; it starts with its newest version when it is asked"
                }
            };
            return CommandOutcome::Refused(why.to_owned());
        }
        if let Some(objection) = self.objection(command) {
            return CommandOutcome::Refused(objection);
        }
        // From here on, so that nobody else is told that there are none.
        let _profiling = matches!(command, AdminCommand::Profile(_)).then(|| self.begin_profiles());
        let attempted = table.versions().attempted;
        let canary = table.canary().map_or(0, |canary| canary.generation);
        let mount = self.mount;
        if self.commands.send(AdminOrder { command, mount }).is_err() {
            return CommandOutcome::Unheard(
                "the supervisor takes no commands at present".to_owned(),
            );
        }
        let expected = self.expected.get() + 1;
        self.expected.set(expected);
        if command == AdminCommand::Stop {
            return CommandOutcome::Done("the server is stopping".to_owned());
        }
        let heard = || (table.commands() >= expected).then_some(());
        if within(HEARD, heard).await.is_none() {
            return CommandOutcome::Unheard("the supervisor does not answer".to_owned());
        }
        let done = match command {
            AdminCommand::Reload | AdminCommand::ReloadCanary => {
                within(DONE, || self.reloaded(attempted)).await
            }
            AdminCommand::Promote => within(DONE, || self.promoted(canary)).await,
            AdminCommand::RollBack => within(DONE, || self.rolled_back(canary)).await,
            AdminCommand::Scale(_) => within(DONE, || self.has_all_workers()).await,
            AdminCommand::Restart(pid) => within(DONE, || self.is_replaced(pid)).await,
            AdminCommand::Profile(request) => return self.profiles(request).await,
            AdminCommand::Stop => None,
        };
        let unfinished = || CommandOutcome::Unheard("it is not finished yet".to_owned());
        done.unwrap_or_else(unfinished)
    }

    /// Says whether the server has not begun to stop.
    fn is_up(&self) -> bool {
        let state = self.scoreboard.table().state();
        matches!(state, ServerState::Starting | ServerState::Serving)
    }

    /// Notes how the server is before a reload of all.
    pub fn before_reload(&self) -> BeforeReload {
        let table = self.scoreboard.table();
        BeforeReload {
            supervisor: table.supervisor(),
            attempted: table.versions().attempted,
        }
    }

    /// Waits until the reload is over that all were told of; none where this server has ended meanwhile.
    pub async fn reloaded_with_all(&self, before: BeforeReload) -> Option<CommandOutcome> {
        let table = self.scoreboard.table();
        let stays = || self.is_up() && table.supervisor() == before.supervisor;
        let over = || match stays() {
            true => self.reloaded(before.attempted).map(Some),
            false => Some(None),
        };
        within(DONE, over).await.flatten()
    }

    /// Finds what speaks against a command before it is given.
    fn objection(&self, command: AdminCommand) -> Option<String> {
        match command {
            AdminCommand::Scale(range) => {
                let limit = self.scoreboard.table().workers().limit;
                let most = range.most();
                let too_many = most > limit as usize;
                too_many.then(|| format!("there may be 1 to {limit} workers, not {most}"))
            }
            AdminCommand::Restart(pid) => {
                let serves = self.workers().any(|(worker, phase, _)| {
                    worker == pid && matches!(phase, WorkerPhase::Ready | WorkerPhase::Starting)
                });
                (!serves).then(|| format!("no worker that serves is process {pid}"))
            }
            AdminCommand::Promote | AdminCommand::RollBack => {
                let runs = self.scoreboard.table().canary().is_some();
                (!runs).then(|| "no canary runs".to_owned())
            }
            AdminCommand::Profile(request) => self.objection_to_profile(request),
            AdminCommand::Reload | AdminCommand::ReloadCanary | AdminCommand::Stop => None,
        }
    }

    /// Lists the process, the phase and the version of each worker.
    fn workers(&self) -> impl Iterator<Item = (i32, WorkerPhase, u32)> {
        let slots = 0..self.scoreboard.length();
        let entries = slots.map(|slot| self.scoreboard.entry(slot));
        let taken = entries.filter(|entry| entry.phase() != WorkerPhase::Free);
        taken.map(|entry| (entry.pid(), entry.phase(), entry.generation()))
    }

    /// Says what came of a reload that was asked for when the version of this number was the newest. Others may have
    /// been asked for since, and have failed.
    fn reloaded(&self, attempted: u32) -> Option<CommandOutcome> {
        let table = self.scoreboard.table();
        if !self.is_up() {
            return Some(CommandOutcome::Failed("the server is stopping".to_owned()));
        }
        let versions = table.versions();
        let tried = table.canary().map(|canary| canary.generation);
        match outlook(versions, tried, attempted) {
            Outlook::Open => return None,
            Outlook::Failed => return Some(CommandOutcome::Failed(table.last_failure())),
            Outlook::Served => {}
        }
        let served = versions.served;
        self.has_all_workers()?;
        let old = self
            .workers()
            .any(|(_, phase, version)| phase != WorkerPhase::Draining && version != served);
        (!old).then(|| CommandOutcome::Done(format!("version {served} is served")))
    }

    /// Says what came of promoting this version.
    fn promoted(&self, canary: u32) -> Option<CommandOutcome> {
        let versions = self.scoreboard.table().versions();
        if self.runs(canary) {
            return None;
        }
        match versions.served == canary {
            true => self.reloaded(canary.saturating_sub(1)),
            false => Some(CommandOutcome::Refused(format!(
                "version {canary} was rolled back before"
            ))),
        }
    }

    /// Says what came of rolling this version back.
    fn rolled_back(&self, canary: u32) -> Option<CommandOutcome> {
        let served = self.scoreboard.table().versions().served;
        if self.runs(canary) {
            return None;
        }
        match served == canary {
            true => Some(CommandOutcome::Refused(format!(
                "version {canary} was promoted before"
            ))),
            false => Some(CommandOutcome::Done(format!(
                "version {canary} is rolled back, and version {served} is served"
            ))),
        }
    }

    fn runs(&self, canary: u32) -> bool {
        let now = self.scoreboard.table().canary();
        now.is_some_and(|it| it.generation == canary)
    }

    /// Says whether as many workers as there should be are ready, and no others are there.
    fn has_all_workers(&self) -> Option<CommandOutcome> {
        let table = self.scoreboard.table();
        let canary = table.canary().map_or(0, |canary| canary.workers);
        let wanted = table.workers().wanted.saturating_add(canary);
        let count = |which: WorkerPhase| {
            self.workers()
                .filter(|(_, phase, _)| *phase == which)
                .count()
        };
        let (ready, starting) = (count(WorkerPhase::Ready), count(WorkerPhase::Starting));
        let settled = ready == wanted as usize && starting == 0;
        let serve = match wanted - canary {
            1 => "1 worker serves".to_owned(),
            number => format!("{number} workers serve"),
        };
        let text = match canary {
            0 => serve,
            _ => format!("{serve}, and {canary} of the canary"),
        };
        settled.then_some(CommandOutcome::Done(text))
    }

    /// Says whether another worker serves in the place of this one.
    fn is_replaced(&self, pid: i32) -> Option<CommandOutcome> {
        self.has_all_workers()?;
        let stays = self
            .workers()
            .any(|(worker, phase, _)| worker == pid && phase != WorkerPhase::Draining);
        (!stays).then(|| CommandOutcome::Done(format!("process {pid} is replaced")))
    }
}

/// An `Outlook` says what has become of the versions that came after a reload was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    /// One is being made or tried.
    Open,
    /// None can be served.
    Failed,
    /// One is served.
    Served,
}

/// Judges the versions that come after the one that was the newest; `tried` has a canary.
fn outlook(versions: Versions, tried: Option<u32>, newest: u32) -> Outlook {
    let has_failed = versions.failed > newest;
    // What is tried was begun before.
    let is_older = tried.is_some_and(|tried| tried <= newest);
    if has_failed && is_older && versions.failed == versions.attempted {
        return Outlook::Failed;
    }
    match versions.changing {
        true => Outlook::Open,
        false if versions.served > newest => Outlook::Served,
        false if has_failed => Outlook::Failed,
        false => Outlook::Open,
    }
}

/// Looks again and again until there is something to see.
pub(super) async fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook_of(numbers: [u32; 3], changing: bool, tried: Option<u32>, newest: u32) -> Outlook {
        let [attempted, failed, served] = numbers;
        let versions = Versions {
            served,
            attempted,
            failed,
            changing,
        };
        outlook(versions, tried, newest)
    }

    /// What another reload comes to is no answer to this one.
    #[test]
    fn a_reload_is_told_of_its_own_version_or_a_later_one() {
        for (numbers, changing, tried, newest, expected) in [
            ([2, 0, 1], true, None, 1, Outlook::Open),
            ([2, 0, 1], true, Some(2), 1, Outlook::Open),
            ([2, 0, 2], false, None, 1, Outlook::Served),
            ([2, 2, 1], false, None, 1, Outlook::Failed),
            // It has not been heard of.
            ([1, 0, 1], false, None, 1, Outlook::Open),
            // The third has failed while the second is tried: who asked for that waits, and who asked later knows.
            ([3, 3, 1], true, Some(2), 1, Outlook::Open),
            ([3, 3, 1], true, Some(2), 2, Outlook::Failed),
            ([4, 3, 1], true, Some(2), 2, Outlook::Open),
            ([3, 3, 2], false, None, 1, Outlook::Served),
            ([3, 3, 2], false, None, 2, Outlook::Failed),
            ([3, 3, 1], false, None, 1, Outlook::Failed),
            ([4, 3, 4], false, None, 2, Outlook::Served),
        ] {
            let found = outlook_of(numbers, changing, tried, newest);
            assert_eq!(found, expected, "{numbers:?} {tried:?} {newest}");
        }
    }
}
