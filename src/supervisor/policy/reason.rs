//! A `Reason` says why the supervisor ends a worker, and how the log says so.

use crate::log::Level;
use crate::scoreboard::totals::EndReason;
use std::fmt;
use std::time::Duration;

/// A `Reason` says why a worker is replaced or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The worker reached its limit of requests.
    Requests,
    /// The worker reached its limit of memory, in bytes.
    Memory(u64),
    /// The worker reached the age at which it is replaced.
    Age,
    /// The operator asked for the worker to be replaced.
    Asked,
    /// The worker's serving loop was silent for this long, while it was answering this.
    Hung {
        silent: Duration,
        answering: String,
    },
    /// Something goes on in the worker that nothing ends.
    Stuck,
    /// A listening socket was bound anew, and it has the old one.
    Sockets,
    Reload,
    /// Another executable has taken over, with a version of its own.
    Executable,
    /// It was leaving already when another executable took over, which does not know why.
    Inherited,
    /// Another worker could not start before any had, so that everything ends.
    StartFailed,
    /// Another worker of its version, which is being tried, could not start.
    VersionFailed,
    /// The code that it was loading is dropped, and made again.
    DamagedCode,
    /// The worker's version was a canary that was not given to all workers.
    Canary,
    ScaleDown,
    Shutdown,
    /// The worker did not get ready in time.
    Startup(Duration),
    /// The worker was still busy when its time to drain was over; it had to leave for this reason.
    Drain(Box<Reason>),
    /// Room was needed for a worker that serves; this one had to leave for this reason.
    Capacity(Box<Reason>),
}

impl Reason {
    /// Says whether this is wear, which is dealt with one worker after the other.
    pub fn is_recycling(&self) -> bool {
        matches!(
            self,
            Reason::Requests
                | Reason::Memory(_)
                | Reason::Age
                | Reason::Asked
                | Reason::Stuck
                | Reason::Sockets
        )
    }

    /// Gives what its end is counted as.
    pub fn counted_as(&self) -> EndReason {
        match self {
            Reason::Requests => EndReason::MaxRequests,
            Reason::Memory(_) => EndReason::MaxMemory,
            Reason::Age => EndReason::MaxLifetime,
            Reason::Asked => EndReason::Asked,
            Reason::Hung { .. } | Reason::Stuck => EndReason::Hung,
            Reason::Sockets => EndReason::Sockets,
            Reason::Reload
            | Reason::Executable
            | Reason::Inherited
            | Reason::VersionFailed
            | Reason::DamagedCode
            | Reason::Canary => EndReason::Reload,
            Reason::ScaleDown => EndReason::ScaleDown,
            Reason::Shutdown | Reason::StartFailed => EndReason::Shutdown,
            Reason::Startup(_) => EndReason::StartupTimeout,
            Reason::Drain(_) | Reason::Capacity(_) => EndReason::DrainTimeout,
        }
    }

    /// Says how serious the end of a worker for this reason is.
    pub fn level(&self) -> Level {
        match self {
            Reason::Hung { .. } | Reason::Startup(_) => Level::Error,
            Reason::Drain(_) | Reason::Capacity(_) | Reason::Stuck => Level::Warning,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Requests => write!(f, "recycled after its requests (--limit-max-requests)"),
            Reason::Memory(bytes) => {
                let mebibytes = bytes >> 20;
                write!(
                    f,
                    "recycled for its memory of {mebibytes} MiB (--max-worker-rss)"
                )
            }
            Reason::Age => write!(f, "recycled for its age (--max-worker-lifetime)"),
            Reason::Asked => write!(f, "recycled, as the operator asked"),
            Reason::Hung { silent, answering } => {
                write!(f, "hung, silent for {:.1} s", silent.as_secs_f64())?;
                match answering.as_str() {
                    "" => write!(f, " (--timeout-worker-healthcheck)"),
                    request => write!(f, ", answering {request:?} (--timeout-worker-healthcheck)"),
                }
            }
            Reason::Stuck => write!(
                f,
                "recycled for what a guest began in it, which does not end"
            ),
            Reason::Sockets => write!(f, "recycled for its listening socket, which was shut down"),
            Reason::Reload => write!(f, "replaced by a reload"),
            Reason::Executable => write!(f, "replaced with the executable"),
            Reason::Inherited => write!(f, "it was leaving when the executable was replaced"),
            Reason::StartFailed => write!(f, "the start failed"),
            Reason::VersionFailed => write!(f, "its version does not start"),
            Reason::DamagedCode => write!(f, "its compiled code is made again"),
            Reason::Canary => write!(f, "its version was not promoted"),
            Reason::ScaleDown => write!(f, "one worker fewer was asked for"),
            Reason::Shutdown => write!(f, "shutdown"),
            Reason::Startup(limit) => {
                let limit = limit.as_secs_f64();
                write!(f, "not ready within {limit} s (--timeout-worker-startup)")
            }
            Reason::Drain(reason) => write!(
                f,
                "{reason}; killed, still busy after --timeout-graceful-shutdown"
            ),
            Reason::Capacity(reason) => write!(
                f,
                "{reason}; killed while it drained, too many workers are leaving"
            ),
        }
    }
}
