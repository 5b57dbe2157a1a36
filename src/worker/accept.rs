//! Takes connections from the shared listeners: no more than this worker's share, and none while
//! there are no descriptors for them.

use super::balance::{self, Load};
use crate::connection::Accepted;
use crate::request::Peer;
use crate::scoreboard::{Phase, Scoreboard, Slot};
use crate::sys::clock;
use crate::sys::socket::{self, Listening, moved_up};
use crate::{debug, warning};
use anyhow::Result;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

/// How long a connection is left to siblings, one timer tick at a time, before it is taken anyway.
const COURTESY: Duration = Duration::from_millis(1);
const MOST_COURTESIES: u32 = 20;

/// The same where siblings take others meanwhile, or say so.
const MOST_IN_ALL: u32 = 200;

/// A sibling that was left a connection in vain is not counted on during this time.
const DISTRUST_MS: u64 = 250;

/// A sibling that has been silent for this long is not expected to take anything.
const SILENT_MS: u64 = 2500;

/// How long accepting pauses when there are no descriptors or no memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// One listener, as this worker sees it.
pub struct Acceptor {
    listener: Listening,
    /// Tells when a connection waits, which a listener of the runtime tells only by taking it. To be
    /// told of a descriptor, its kind does not matter.
    arrivals: TcpStream,
    scoreboard: Rc<Scoreboard>,
    slot: usize,
    /// Until when each sibling is not counted on, by slot.
    distrusted_until_ms: Vec<u64>,
    paused: bool,
}

impl Acceptor {
    pub fn new(listener: &Listening, scoreboard: Rc<Scoreboard>, slot: usize) -> Result<Acceptor> {
        let listener = listener.moved_up()?;
        let descriptor = moved_up(listener.as_fd())?;
        Ok(Acceptor {
            listener,
            arrivals: TcpStream::from_std(descriptor.into())?,
            distrusted_until_ms: vec![0; scoreboard.length()],
            scoreboard,
            slot,
            paused: false,
        })
    }

    /// Resolves when a connection waits to be accepted.
    pub async fn waits(&self) {
        loop {
            let _ = self.arrivals.readable().await;
            // What the runtime knows may be what was there before the last was accepted.
            let look = || match socket::has_arrivals(self.listener.as_fd()) {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
            if self.arrivals.try_io(Interest::READABLE, look).is_ok() {
                return;
            }
        }
    }

    /// The next connection that is this worker's to serve.
    pub async fn next(&mut self) -> (Accepted, Peer) {
        loop {
            match self.try_next().await {
                Ok(accepted) => {
                    self.paused = false;
                    return accepted;
                }
                // A sibling took it, or the client gave up before it was accepted (accept(2)).
                Err(error) if is_passing(&error) => {}
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn try_next(&mut self) -> io::Result<(Accepted, Peer)> {
        self.arrivals.readable().await?;
        self.give_way().await;
        let accept = || accept(&self.listener);
        self.arrivals.try_io(Interest::READABLE, accept)
    }

    /// Waits while a sibling should take what is in the backlog, but not for long, whatever siblings say about
    /// themselves. A machine that is short of processors makes the ticks longer, and so the wait.
    async fn give_way(&mut self) {
        let mut taken = self.taken();
        let mut courtesies = 0;
        for _ in 0..MOST_IN_ALL {
            if self.preferred().is_empty() {
                return;
            }
            if courtesies == MOST_COURTESIES {
                break;
            }
            sleep(COURTESY).await;
            courtesies += 1;
            if self.taken() != taken {
                taken = self.taken();
                courtesies = 0;
            }
        }
        let until = clock::now_ms() + DISTRUST_MS;
        for index in self.preferred() {
            self.distrusted_until_ms[index] = until;
        }
    }

    /// The siblings that should take the next connection rather than this worker.
    fn preferred(&self) -> Vec<usize> {
        let now = clock::now_ms();
        let mine = load(self.scoreboard.slot(self.slot));
        let siblings = (0..self.scoreboard.length()).filter(|index| *index != self.slot);
        siblings
            .filter(|index| {
                let slot = self.scoreboard.slot(*index);
                self.scoreboard.entry(*index).phase() == Phase::Ready
                    && now >= self.distrusted_until_ms[*index]
                    && now.abs_diff(slot.heartbeat_ms()) < SILENT_MS
                    && balance::leaves(mine, load(slot))
            })
            .collect()
    }

    /// How many connections all siblings have taken so far.
    fn taken(&self) -> u64 {
        let slots = (0..self.scoreboard.length()).map(|index| self.scoreboard.slot(index));
        slots.fold(0, |sum, slot| sum.wrapping_add(slot.connections_total()))
    }

    /// Descriptors or memory ran out (EMFILE, ENFILE, ENOBUFS, ENOMEM): what is open goes on, and
    /// what waits in the backlog is taken when there is room again.
    /// A socket that was shut down (EINVAL, accept(2)) is the supervisor's to see to.
    async fn pause(&mut self, error: &io::Error) {
        let told = std::mem::replace(&mut self.paused, true);
        match error.raw_os_error() {
            _ if told => {}
            Some(libc::EINVAL) => debug!("accepting pauses: the socket listens no more"),
            Some(libc::EMFILE | libc::ENFILE) => {
                warning!("accepting pauses: {error}; raise the limit with `ulimit -n`");
            }
            _ => warning!("accepting pauses: {error}"),
        }
        sleep(PAUSE).await;
    }
}

fn accept(listener: &Listening) -> io::Result<(Accepted, Peer)> {
    match listener {
        Listening::Tcp(listener) => {
            let (socket, client) = listener.accept()?;
            socket.set_nonblocking(true)?;
            // An IPv4 client of an IPv6 socket is still one (RFC 4291 section 2.5.5.2).
            let client = SocketAddr::new(client.ip().to_canonical(), client.port());
            Ok((
                Accepted::Tcp(TcpStream::from_std(socket)?),
                Peer::Inet(client),
            ))
        }
        Listening::Unix(listener) => {
            let (socket, _) = listener.accept()?;
            socket.set_nonblocking(true)?;
            Ok((Accepted::Unix(UnixStream::from_std(socket)?), Peer::Unix))
        }
    }
}

fn load(slot: &Slot) -> Load {
    Load {
        connections: slot.connections(),
        in_flight: slot.in_flight(),
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
