//! One worker, as the policy sees it.

use crate::exit::Status;
use std::fmt;
use std::time::{Duration, Instant};

/// A worker's name, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

/// Why a worker is replaced or ended by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It reached its limit of requests.
    Requests,
    /// It reached its limit of memory, in bytes.
    Memory(u64),
    /// It reached its age.
    Age,
    /// It was silent for so long, and what it was answering.
    Hung(Duration, String),
    Reload,
    ScaleDown,
    Shutdown,
    /// It did not get ready in time.
    Startup(Duration),
    /// It was still busy when its time to drain was over.
    Drain,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Requests => write!(f, "recycled after its requests (--limit-max-requests)"),
            Reason::Memory(bytes) => {
                write!(
                    f,
                    "recycled for its memory of {} MiB (--max-worker-rss)",
                    bytes >> 20
                )
            }
            Reason::Age => write!(f, "recycled for its age (--max-worker-lifetime)"),
            Reason::Hung(silent, request) if request.is_empty() => {
                write!(f, "hung, silent for {:.1} s", silent.as_secs_f64())
            }
            Reason::Hung(silent, request) => {
                write!(
                    f,
                    "hung, silent for {:.1} s, answering {request:?}",
                    silent.as_secs_f64()
                )
            }
            Reason::Reload => write!(f, "replaced by a reload"),
            Reason::ScaleDown => write!(f, "one worker fewer was asked for"),
            Reason::Shutdown => write!(f, "shutdown"),
            Reason::Startup(limit) => {
                write!(
                    f,
                    "not ready within {} s (--timeout-worker-startup)",
                    limit.as_secs_f64()
                )
            }
            Reason::Drain => write!(f, "still busy after --timeout-graceful-shutdown"),
        }
    }
}

/// Where a worker is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Starting {
        since: Instant,
    },
    /// It serves.
    Ready {
        since: Instant,
    },
    /// It serves, and leaves when its replacement is ready.
    Stale {
        since: Instant,
        reason: Reason,
    },
    /// It was told to leave.
    Leaving {
        deadline: Instant,
        reason: Reason,
    },
    /// It was killed, and is not reaped yet.
    Killed {
        reason: Reason,
    },
}

#[derive(Debug)]
pub struct Worker {
    /// The process; 0 until it is forked.
    pub pid: i32,
    /// Which of the wanted workers it is.
    pub seat: usize,
    pub generation: u32,
    pub state: State,
    /// It should be replaced when its turn comes.
    pub due: Option<Reason>,
    pub last_words: Option<(Status, String)>,
}

impl Worker {
    pub fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting { .. })
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// Whether it takes connections.
    pub fn serves(&self) -> bool {
        matches!(self.state, State::Ready { .. } | State::Stale { .. })
    }
}
