//! What can happen, and what can be done about it.

use super::{Activity, Death, HealthReading, Id};
use crate::channel::WorkerRange;
use crate::exit::Status;
use crate::log::Level;
use crate::supervisor::settings::{CompileLimits, Settings};
use std::time::Duration;

/// An `Event` is something that has happened, which the policy is told of.
#[derive(Debug)]
pub enum Event {
    /// The compiler made the code of the version that was asked for last; its settings.
    Compiled {
        settings: Box<Settings>,
        /// Its code was in the cache.
        found: bool,
    },
    /// The component is being pulled, which may take so long.
    Pulling {
        limit: Duration,
    },
    /// The compiler was forked, and may take this.
    Compiling {
        limits: CompileLimits,
    },
    /// The compiler has so many bytes of memory, or has written as many.
    CompilerSize {
        resident: u64,
    },
    /// A step before the start is taken, and may take so long.
    Stepping {
        limit: Duration,
    },
    /// An instance of the application is primed, which may take so long.
    Priming {
        limit: Duration,
    },
    /// What was compiled is being loaded, and may take this.
    Loading {
        limits: CompileLimits,
    },
    /// Code from the cache ended the process that loaded it, and was dropped, or has left the cache; how.
    CodeDied {
        why: String,
    },
    /// There is no room in the cache for what is compiled; how that was found out.
    NoRoom {
        why: String,
    },
    /// It did not; the status and the reason.
    CompileFailed {
        status: Status,
        reason: String,
    },
    /// A worker can serve.
    Ready(Id),
    /// A worker reached its limit of requests.
    Spent(Id),
    /// A worker's last words.
    LastWords {
        id: Id,
        status: Status,
        text: String,
    },
    /// A worker is gone.
    Ended {
        id: Id,
        death: Death,
    },
    /// The operator asks to stop (TERM or INT).
    Stop,
    /// The operator asks to stop at once (QUIT).
    Quit,
    /// The same as `Stop`, unless it was asked for already.
    StopOnce,
    /// The operator asks for so many workers.
    Scale(WorkerRange),
    /// The operator asks for the worker that is this process to be replaced.
    Restart {
        pid: i32,
    },
    /// The operator asks for a reload (HUP).
    Reload,
    /// The same, where the new version is compared with the old one first.
    ReloadCanary,
    /// The operator asks for the canary's version to be given to all workers, or to be given up.
    Promote,
    RollBack,
    /// A watched file changed.
    Changed,
    /// One worker more, one fewer (TTIN, TTOU): both bounds move.
    More,
    Fewer,
    /// The operator asks for the executable to be replaced (USR2).
    Upgrade,
    /// The new executable can take over, or the reason why it cannot.
    Answered(Result<(), String>),
    /// A listening socket was bound anew, and the workers that there are have the old one.
    SocketsRenewed,
    /// The readings of a health check.
    Beat(Vec<HealthReading>),
    /// What clients do, where the server is to end when they do nothing.
    Activity(Activity),
    /// Nothing but time has passed.
    Time,
}

/// Something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Compile the next version; `number` is its name.
    Compile {
        number: u32,
    },
    /// End whoever makes the next version.
    KillCompiler,
    /// Remove this version's code from the cache.
    DropCode {
        generation: u32,
    },
    /// Fork a worker of this version.
    Fork {
        id: Id,
        generation: u32,
    },
    /// This version is the one that is served from here on.
    Adopt {
        generation: u32,
    },
    /// Have a worker leave when it is done. `retiring` where others go on serving, here or on other machines.
    Drain {
        id: Id,
        retiring: bool,
    },
    Kill {
        id: Id,
    },
    /// Every worker is ready for the first time.
    Announce,
    /// Say to whoever asks that no more connections should be sent here.
    Withdraw,
    /// No more connections are to be taken.
    CloseListeners,
    /// Ask the new executable whether it can take over.
    AskSuccessor,
    KillSuccessor,
    /// Become the new executable.
    Execute,
    Log {
        level: Level,
        text: String,
    },
    /// Wait no longer for jobs that run.
    EndJobs,
    /// Everything has ended; the reason, where it was not the operator's wish.
    Exit {
        failure: Option<(Status, String)>,
    },
}
