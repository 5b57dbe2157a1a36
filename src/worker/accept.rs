//! Takes connections from the shared listeners: no more than this worker's share, and none while
//! there are no descriptors for them.

use super::balance::{self, Load};
use crate::scoreboard::{Phase, Scoreboard};
use crate::sys::clock;
use crate::warning;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How long a connection is left to siblings, one timer tick at a time, before it is taken anyway.
const COURTESY: Duration = Duration::from_millis(1);
const MOST_COURTESIES: u32 = 4;

/// After a courtesy in vain, siblings are not waited for during this time: one of them may hang.
const NO_COURTESY: Duration = Duration::from_millis(200);

/// A sibling that has been silent for this long is not expected to take anything.
const SILENT_MS: u64 = 2500;

/// How long accepting pauses when there are no descriptors or no memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// One listener, as this worker sees it.
pub struct Acceptor {
    listener: TcpListener,
    scoreboard: Rc<Scoreboard>,
    slot: usize,
    no_courtesy_until_ms: u64,
    paused: bool,
}

impl Acceptor {
    pub fn new(listener: TcpListener, scoreboard: Rc<Scoreboard>, slot: usize) -> Acceptor {
        Acceptor {
            listener,
            scoreboard,
            slot,
            no_courtesy_until_ms: 0,
            paused: false,
        }
    }

    /// The next connection that is this worker's to serve.
    pub async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            self.give_way().await;
            match self.listener.accept().await {
                Ok(accepted) => {
                    self.paused = false;
                    return accepted;
                }
                Err(error) if is_about_the_client(&error) => {}
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Waits while a sibling should take what is in the backlog, but not for long.
    async fn give_way(&mut self) {
        if clock::now_ms() < self.no_courtesy_until_ms {
            return;
        }
        for _ in 0..MOST_COURTESIES {
            if self.is_ours() {
                return;
            }
            sleep(COURTESY).await;
        }
        if !self.is_ours() {
            self.no_courtesy_until_ms = clock::now_ms() + NO_COURTESY.as_millis() as u64;
        }
    }

    fn is_ours(&self) -> bool {
        let now = clock::now_ms();
        let siblings = self
            .scoreboard
            .slots()
            .iter()
            .enumerate()
            .filter(|(index, slot)| {
                *index != self.slot
                    && slot.phase() == Phase::Ready
                    && now.saturating_sub(slot.heartbeat_ms()) < SILENT_MS
            })
            .map(|(_, slot)| Load {
                connections: slot.connections(),
                in_flight: slot.in_flight(),
            });
        let mine = self.scoreboard.slot(self.slot);
        let mine = Load {
            connections: mine.connections(),
            in_flight: mine.in_flight(),
        };
        balance::takes(mine, siblings)
    }

    /// Descriptors or memory ran out (EMFILE, ENFILE, ENOBUFS, ENOMEM): what is open goes on, and
    /// what waits in the backlog is taken when there is room again.
    async fn pause(&mut self, error: &io::Error) {
        if !self.paused {
            warning!("accepting pauses: {error}; raise the limit with `ulimit -n`");
            self.paused = true;
        }
        sleep(PAUSE).await;
    }
}

/// The client gave up before it was accepted: nothing that a pause would mend (accept(2)).
fn is_about_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
