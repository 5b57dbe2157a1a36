//! An `Event` is what can happen, and an `Action` what can be done about it.

use super::{ConnectionCounts, Death, HealthReading, Id};
use crate::channel::WorkerRange;
use crate::exit::Status;
use crate::log::Level;
use crate::supervisor::settings::{CompileLimits, Settings};
use std::time::Duration;

/// An `Event` is something that has happened, which the policy is told of.
#[derive(Debug)]
pub enum Event {
    /// The compiler made the code of the version that was asked for last, which has these settings.
    Compiled {
        settings: Box<Settings>,
        /// The version's code was in the cache.
        found: bool,
    },
    /// The component is being pulled, which may take this long.
    Pulling { limit: Duration },
    /// The compiler was forked, and may take this.
    Compiling { limits: CompileLimits },
    /// The compiler has this many bytes of memory, or has written as many.
    CompilerSize { resident: u64 },
    /// A step before the start is taken, and may take this long.
    Stepping { limit: Duration },
    /// An instance of the application is primed, which may take this long.
    Priming { limit: Duration },
    /// What was compiled is being loaded, and may take this.
    Loading { limits: CompileLimits },
    /// Code from the cache ended the process that loaded it, and was dropped, or has left the cache; `why` says which.
    CodeDied { why: String },
    /// There is no room in the cache for what is compiled; `why` says how that was found out.
    NoRoom { why: String },
    /// The compiler could not make the code of that version, for this reason.
    CompileFailed { status: Status, reason: String },
    /// A worker can serve.
    Ready(Id),
    /// A worker reached its limit of requests.
    Spent(Id),
    /// Something goes on in a worker that nothing ends.
    Stuck(Id),
    /// A worker says in its last words why it ends.
    LastWords {
        id: Id,
        status: Status,
        text: String,
    },
    /// A worker is gone.
    Ended { id: Id, death: Death },
    /// The operator asks to stop (TERM or INT).
    Stop,
    /// The operator asks to stop at once (QUIT).
    Quit,
    /// The operator asks for a stop, which counts unless one was asked for already.
    StopOnce,
    /// The operator asks for this many workers.
    Scale(WorkerRange),
    /// The operator asks for the worker that is this process to be replaced.
    Restart { pid: i32 },
    /// The operator asks for a reload (HUP).
    Reload,
    /// The operator asks for a reload in which the new version is compared with the old one first.
    ReloadCanary,
    /// The operator asks for the canary's version to be given to all workers.
    Promote,
    /// The operator asks for the canary's version to be given up.
    RollBack,
    /// A watched file changed.
    Changed,
    /// The operator asks for one worker more (TTIN): both bounds move.
    More,
    /// The operator asks for one worker fewer (TTOU): both bounds move.
    Fewer,
    /// The operator asks for the executable to be replaced (USR2).
    Upgrade,
    /// The new executable can take over, or the reason why it cannot.
    Answered(Result<(), String>),
    /// A listening socket was bound anew, and the workers that there are have the old one.
    SocketsRenewed,
    /// A health check has read these numbers.
    Beat(Vec<HealthReading>),
    /// Clients do this, where the server is to end when they do nothing.
    ConnectionCounts(ConnectionCounts),
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
