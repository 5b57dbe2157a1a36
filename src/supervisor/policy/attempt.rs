//! An `AttemptState` makes the next version ready to be tried: this file decides how long its processes may take, and what
//! ends them before.

use super::{Action, Policy};
use crate::log::Level;
use crate::supervisor::settings::CompileLimits;
use std::fmt;
use std::time::{Duration, Instant};

/// An `AttemptState` says what is being done about the next version.
#[derive(Debug, Default)]
pub enum AttemptState {
    #[default]
    None,
    /// A compiler is to be forked.
    Asked,
    /// The component is pulled.
    Pulling { until: Instant, limit: Duration },
    Compiling {
        until: Instant,
        limits: CompileLimits,
    },
    /// A step before the start is taken.
    Stepping { until: Instant, limit: Duration },
    /// The application starts in an instance that others are to begin as.
    Priming { until: Instant, limit: Duration },
    /// What was compiled is being loaded.
    Loading {
        until: Instant,
        limits: CompileLimits,
    },
    /// The attempt's process was killed, and has not ended yet.
    Ending(GivenUp),
}

/// `GivenUp` says why an attempt was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// A newer one is to take its place.
    Newer,
    /// The new executable makes its own.
    Upgrade,
    LatePull(Duration),
    TimedOut(Duration),
    LateStep(Duration),
    LateStart(Duration),
    Large(u64),
}

impl GivenUp {
    /// Says whether somebody asked for it, so that it is no failure.
    pub fn was_asked_for(self) -> bool {
        matches!(self, GivenUp::Newer | GivenUp::Upgrade)
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GivenUp::Newer => write!(f, "another reload was asked for"),
            GivenUp::Upgrade => write!(f, "the executable is being replaced"),
            GivenUp::LatePull(limit) => write!(
                f,
                "pulling the component took longer than --timeout-pull ({} s)",
                limit.as_secs_f64()
            ),
            GivenUp::TimedOut(limit) => write!(
                f,
                "compiling the component took longer than --limit-compile-time ({} s)",
                limit.as_secs_f64()
            ),
            GivenUp::LateStep(limit) => write!(
                f,
                "a step before the start took longer than --timeout-before-start ({} s)",
                limit.as_secs_f64()
            ),
            GivenUp::LateStart(limit) => write!(
                f,
                "the application's startup took longer than --timeout-worker-startup ({} s)",
                limit.as_secs_f64()
            ),
            GivenUp::Large(limit) => write!(
                f,
                "compiling the component took more memory than --limit-compile-memory ({} MiB)",
                limit >> 20
            ),
        }
    }
}

/// The compiler's memory is looked at this often.
const GLANCE: Duration = Duration::from_millis(100);

impl AttemptState {
    /// Says whether there is a process, or is to be one.
    pub fn is_under_way(&self) -> bool {
        !matches!(self, AttemptState::None)
    }

    fn bounds(&self) -> Option<(Instant, CompileLimits)> {
        match self {
            AttemptState::Compiling { until, limits } | AttemptState::Loading { until, limits } => {
                Some((*until, *limits))
            }
            _ => None,
        }
    }

    /// Says when to look at it again.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        match self {
            AttemptState::Pulling { until, .. }
            | AttemptState::Stepping { until, .. }
            | AttemptState::Priming { until, .. } => Some(*until),
            _ => self.bounds().map(|(until, _)| until.min(now + GLANCE)),
        }
    }
}

impl Policy {
    /// Notes that the component is pulled now.
    pub(super) fn pulling(&mut self, limit: Duration, now: Instant) {
        let until = now + limit;
        if matches!(self.reload.attempt, AttemptState::Asked) {
            self.reload.attempt = AttemptState::Pulling { until, limit };
        }
    }

    /// Notes that the compiler was forked, which may take this.
    pub(super) fn compiling(&mut self, limits: CompileLimits, now: Instant) {
        let until = now + limits.time;
        match self.reload.attempt {
            AttemptState::Asked => self.reload.attempt = AttemptState::Compiling { until, limits },
            AttemptState::Pulling { .. } if self.mode.changes() => {
                self.reload.attempt = AttemptState::Compiling { until, limits };
            }
            // It began when its attempt was ended already, or everything.
            AttemptState::Pulling { .. } | AttemptState::Ending(_) => {
                self.actions.push(Action::KillCompiler);
            }
            _ => {}
        }
    }

    /// Notes that a step before the start is taken now.
    pub(super) fn stepping(&mut self, limit: Duration, now: Instant) {
        let until = now + limit;
        match self.reload.attempt {
            // It began when its attempt was ended already, or everything.
            AttemptState::Ending(_) => self.actions.push(Action::KillCompiler),
            _ if !self.mode.changes() => self.actions.push(Action::KillCompiler),
            _ => self.reload.attempt = AttemptState::Stepping { until, limit },
        }
    }

    /// Notes that an instance is primed now.
    pub(super) fn priming(&mut self, limit: Duration, now: Instant) {
        let until = now + limit;
        match self.reload.attempt {
            AttemptState::Ending(_) => self.actions.push(Action::KillCompiler),
            _ if !self.mode.changes() => self.actions.push(Action::KillCompiler),
            _ => self.reload.attempt = AttemptState::Priming { until, limit },
        }
    }

    /// Notes that what was compiled is loaded now, within the same limits.
    pub(super) fn loading(&mut self, limits: CompileLimits, now: Instant) {
        let until = now + limits.time;
        if !matches!(self.reload.attempt, AttemptState::Ending(_)) {
            self.reload.attempt = AttemptState::Loading { until, limits };
        }
    }

    /// Ends a compiler that has more memory than it may have.
    pub(super) fn compiler_size(&mut self, resident: u64) {
        if let Some((_, limits)) = self.reload.attempt.bounds()
            && resident > limits.memory
        {
            self.give_up(GivenUp::Large(limits.memory));
        }
    }

    pub(super) fn give_up_late_compiler(&mut self, now: Instant) {
        if let Some((until, limits)) = self.reload.attempt.bounds()
            && until <= now
        {
            self.give_up(GivenUp::TimedOut(limits.time));
        }
        if let AttemptState::Pulling { until, limit } = self.reload.attempt
            && until <= now
        {
            self.give_up(GivenUp::LatePull(limit));
        }
        if let AttemptState::Stepping { until, limit } = self.reload.attempt
            && until <= now
        {
            self.give_up(GivenUp::LateStep(limit));
        }
        if let AttemptState::Priming { until, limit } = self.reload.attempt
            && until <= now
        {
            self.give_up(GivenUp::LateStart(limit));
        }
    }

    pub(super) fn give_up(&mut self, why: GivenUp) {
        self.reload.attempt = AttemptState::Ending(why);
        self.actions.push(Action::KillCompiler);
    }

    /// Answers a reload that was asked for while one is under way: it takes the place of the older one. Steps that are
    /// being taken may change data, and are ended only where that is asked for twice.
    pub(super) fn supersede(&mut self) {
        let asked_before = self.reload.ask_again();
        match self.reload.attempt {
            AttemptState::Asked
            | AttemptState::Pulling { .. }
            | AttemptState::Compiling { .. }
            | AttemptState::Priming { .. }
            | AttemptState::Loading { .. } => {
                self.give_up(GivenUp::Newer);
            }
            AttemptState::Stepping { .. } if asked_before => self.give_up(GivenUp::Newer),
            AttemptState::Stepping { .. } => {
                let text = "A reload follows when the steps before the start have ended; ask for it once more to \
                            end them now";
                self.log(Level::Warning, text.to_owned());
            }
            AttemptState::None | AttemptState::Ending(_) => {}
        }
    }
}
