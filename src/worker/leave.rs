//! A worker leaves on a signal, or when the supervisor is gone.

use crate::sys::{limits, process, signals};
use anyhow::{Context, Result};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ends this process some time after the supervisor's end, whatever its serving loop is doing then: a
/// worker that hangs must not keep the port.
pub fn never_outlive(lifeline: OwnedFd, grace: Duration) -> Result<()> {
    let wait = move || {
        while !process::has_ended(&lifeline) {}
        std::thread::sleep(grace + Duration::from_secs(1));
        std::process::exit(1);
    };
    limits::spawn("lifeline", wait).context("cannot watch the supervisor")?;
    Ok(())
}

/// A `ShutdownMode` says how to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// The worker leaves without finishing anything.
    AtOnce,
    /// The worker leaves when what is in flight is done. Connections are closed after being idle for this long.
    After { idle: Duration },
}

/// Idle clients get this long to use their connection once more and be told that it is the last time, where this
/// worker leaves while others go on.
const RETIRING: Duration = Duration::from_secs(1);

/// `ShutdownSignals` gives the reasons to leave, as they arrive.
pub struct ShutdownSignals {
    terminate: Signal,
    retire: Signal,
    quit: Signal,
    lifeline: pipe::Receiver,
}

impl ShutdownSignals {
    /// Begins to receive signals; those that came earlier were kept.
    pub fn new(lifeline: OwnedFd) -> Result<ShutdownSignals> {
        let reasons = ShutdownSignals {
            terminate: signal(SignalKind::terminate())?,
            retire: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            lifeline: pipe::Receiver::from_owned_fd(lifeline)?,
        };
        signals::unblock_for_worker().context("cannot receive signals")?;
        Ok(reasons)
    }

    /// Resolves with the next reason.
    pub async fn next(&mut self) -> ShutdownMode {
        tokio::select! {
            biased;
            _ = self.quit.recv() => ShutdownMode::AtOnce,
            _ = self.terminate.recv() => ShutdownMode::After { idle: Duration::ZERO },
            _ = self.retire.recv() => ShutdownMode::After { idle: RETIRING },
            _ = self.lifeline.readable() => ShutdownMode::After { idle: Duration::ZERO },
        }
    }

    /// Resolves when there is no more time.
    pub async fn at_once(&mut self) {
        self.quit.recv().await;
    }
}
