//! An `Upgrade` puts another executable in place of this one: it is asked first whether it can, and only then takes
//! over.

use super::attempt::{AttemptState, GivenUp};
use super::{Action, Policy};
use crate::log::Level;
use std::time::{Duration, Instant};

/// The new executable may take this long to answer: longer than the compiler needs for the largest component that was
/// seen (40 MB, 15 s on two processors).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    #[default]
    None,
    /// The upgrade begins when the compiler has ended.
    Asked,
    /// The new executable is being asked.
    Asking { deadline: Instant },
    /// The new executable did not answer, and was killed.
    GivenUp,
    /// The new executable is to take over.
    Executing,
}

impl Upgrade {
    /// Says whether the new executable is being asked or takes over.
    pub fn is_under_way(self) -> bool {
        !matches!(self, Upgrade::None | Upgrade::Asked)
    }

    /// Says whether there is a process that is being asked.
    pub fn has_process(self) -> bool {
        matches!(self, Upgrade::Asking { .. } | Upgrade::GivenUp)
    }

    pub fn until(self) -> Option<Instant> {
        match self {
            Upgrade::Asking { deadline } => Some(deadline),
            _ => None,
        }
    }
}

impl Policy {
    pub(super) fn upgrade(&mut self, now: Instant) {
        if self.mode != super::ServerMode::Serving || self.upgrade != Upgrade::None {
            let text = "Not replacing the executable: it can be done one at a time, while serving";
            self.log(Level::Warning, text.to_owned());
        } else if self.canary().is_some() {
            let text =
                "Not replacing the executable: a canary runs; promote it or roll it back first";
            self.log(Level::Warning, text.to_owned());
        } else if self.reload.is_compiling() {
            self.upgrade = Upgrade::Asked;
            // The new executable compiles for itself. Steps may change data, and are waited for.
            if !matches!(
                self.reload.attempt,
                AttemptState::Stepping { .. } | AttemptState::Ending(_)
            ) {
                self.reload.ask_again();
                self.give_up(GivenUp::Upgrade);
            }
        } else {
            self.ask(now);
        }
    }

    /// Begins the upgrade that was asked for while the compiler ran, which has ended.
    pub(super) fn begin_upgrade_that_waited(&mut self, now: Instant) {
        if self.upgrade == Upgrade::Asked {
            self.ask(now);
        }
    }

    fn ask(&mut self, now: Instant) {
        let text = "Replacing the executable: asking the new one whether it can";
        self.log(Level::Info, text.to_owned());
        let deadline = now + ANSWER_TIMEOUT;
        self.upgrade = Upgrade::Asking { deadline };
        self.actions.push(Action::AskSuccessor);
    }

    /// Notes that the new executable answered, or could not.
    pub(super) fn answered(&mut self, answer: Result<(), String>) {
        match answer {
            Ok(()) if self.mode == super::ServerMode::Serving => {
                self.upgrade = Upgrade::Executing;
                self.actions.push(Action::Execute);
            }
            Ok(()) => self.upgrade = Upgrade::None,
            Err(why) => {
                let given_up = self.upgrade == Upgrade::GivenUp;
                self.upgrade = Upgrade::None;
                if !self.mode.changes() {
                    return;
                }
                let why = if given_up {
                    format!("it gave no answer within {} s", ANSWER_TIMEOUT.as_secs())
                } else {
                    why
                };
                let text =
                    format!("The executable is not replaced, and this one goes on serving: {why}");
                self.log(Level::Error, text);
                if self.reload.take_again() {
                    self.compile();
                }
            }
        }
    }

    pub(super) fn give_up_asking(&mut self, now: Instant) {
        if self.upgrade.until().is_some_and(|until| until <= now) {
            self.upgrade = Upgrade::GivenUp;
            self.actions.push(Action::KillSuccessor);
        }
    }
}
