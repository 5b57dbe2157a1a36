//! An `Acceptor` takes connections from the shared listeners: no more than this worker's share, and none while there
//! are no descriptors for them.

use super::balance;
use super::connection_count::ConnectionCount;
use super::siblings::Siblings;
use crate::connection::Accepted;
use crate::request::Peer;
use crate::sys::clock;
use crate::sys::epoll::Exclusive;
use crate::sys::socket::{self, Listening, moved_up};
use crate::{debug, warning};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// A worker that has more than its share lets others go first this often before it takes a connection.
const COURTESIES: u32 = 2;

/// The worker waits this long at a time for a sibling that has much less.
const WAIT: Duration = Duration::from_millis(1);
/// The worker waits this often without anybody taking anything.
const MOST_WAITS: u32 = 20;

/// A worker waits for no longer than this where others take connections meanwhile, or say so.
const LONGEST_MS: u64 = 200;

/// Processes that take longer than this to let this worker run again are no workers that look for connections, and are
/// not let go first for a while.
const LONG_NS: u64 = 1_000_000;
const HURRY_MS: u64 = 250;

/// A worker that others suffice for looks again after this long whether they do.
const RESERVE: Duration = Duration::from_millis(2);

/// A worker looks this often for connections that nobody has told it of: who was told may have been killed or stopped
/// before it could take them.
const LOOK: Duration = Duration::from_millis(100);

/// Accepting pauses for this long when there are no descriptors or no memory for a connection, unless one ends before.
const PAUSE: Duration = Duration::from_millis(100);
/// That it pauses is told once in this time.
const TOLD_AGAIN_MS: u64 = 60_000;

/// An `Acceptor` is one listener, as this worker sees it. A connection wakes one worker of those that wait: the one
/// that has been at the end of the queue for longest. A worker that has more than its share goes to the end.
pub struct Acceptor {
    listener: Listening,
    /// The stand-in is a socket with a byte that nobody reads, from this peer.
    queue: Exclusive<UnixStream>,
    _peer: StdUnixStream,
    look: Interval,
    siblings: Siblings,
    open: Rc<ConnectionCount>,
    /// The next connection is one that the kernel wakes this worker for.
    was_woken: Cell<bool>,
    /// The processor is not left to others until the first time, and nobody is waited for until the second.
    keeps_processor_until_ms: Cell<u64>,
    hurried_until_ms: Cell<u64>,
    /// Until then nobody needs to be told again that accepting pauses.
    told_until_ms: u64,
}

impl Acceptor {
    /// Makes an acceptor, before anything else is done with the serving loop.
    pub fn new(
        listener: &Listening,
        siblings: Siblings,
        open: Rc<ConnectionCount>,
    ) -> Result<Acceptor> {
        let listener = listener.moved_up()?;
        let shared = moved_up(listener.as_fd())?;
        let (stand_in, mut peer) = StdUnixStream::pair()?;
        stand_in.set_nonblocking(true)?;
        peer.write_all(b"!")?;
        let stand_in = UnixStream::from_std(stand_in)?;
        let queue = Exclusive::new(stand_in, shared).context("cannot wait for connections")?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Acceptor {
            listener,
            queue,
            _peer: peer,
            look,
            siblings,
            open,
            was_woken: Cell::new(true),
            keeps_processor_until_ms: Cell::new(0),
            hurried_until_ms: Cell::new(0),
            told_until_ms: 0,
        })
    }

    /// Resolves when a connection waits to be accepted.
    pub async fn waits(&self) {
        loop {
            let _ = self.queue.join();
            let stand_in = self.queue.stand_in();
            let _ = stand_in.readable().await;
            // What the runtime knows may be what was there before the last was accepted.
            let look = || match socket::has_arrivals(self.listener.as_fd()) {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
            if stand_in.try_io(Interest::READABLE, look).is_ok() {
                return;
            }
        }
    }

    /// Resolves to the next connection that is this worker's to serve. Where there is no room for it, `evict` closes
    /// one that is missed less.
    pub async fn next(&mut self, evict: impl Fn()) -> (Accepted, Peer) {
        loop {
            match self.try_next().await {
                Ok(accepted) => return accepted,
                // A sibling took it, or the client gave up before it was accepted (accept(2)).
                Err(error) if is_passing(&error) => {}
                Err(error) => self.pause(&error, &evict).await,
            }
        }
    }

    /// Leaves connections to others until the next one is asked for.
    pub fn leave(&self) {
        self.queue.leave();
    }

    async fn try_next(&mut self) -> io::Result<(Accepted, Peer)> {
        self.queue.join()?;
        let was_told = tokio::select! {
            biased;
            told = self.queue.stand_in().readable() => told.is_ok(),
            _ = self.look.tick() => false,
        };
        self.let_others_first().await;
        self.queue.join()?;
        let accept = || accept(&self.listener);
        let accepted = match was_told {
            true => self.queue.stand_in().try_io(Interest::READABLE, accept),
            false => accept(),
        };
        if accepted.as_ref().is_err_and(would_block) {
            self.was_woken.set(true);
            if self.open.are_short() && self.siblings.are_enough() {
                self.queue.leave();
                sleep(RESERVE).await;
            } else if self.has_more_than_its_share() {
                self.queue.step_back()?;
            }
        }
        accepted
    }

    /// Lets others go first where this worker has more than its share: its own requests, which may end some, and then
    /// siblings that were woken and wait for this processor. A connection that nobody took meanwhile is taken.
    async fn let_others_first(&self) {
        let taken = self.siblings.taken();
        for _ in 0..COURTESIES {
            if !self.has_more_than_its_share() {
                self.was_woken.set(false);
                return;
            }
            yield_now().await;
            // Short connections make small differences all the time: a switch of processes for each costs more than
            // they do.
            if !self.has_much_more_than_its_share() {
                break;
            }
            let now = clock::now_ns();
            if now / 1_000_000 < self.keeps_processor_until_ms.get() {
                break;
            }
            std::thread::yield_now();
            let back = clock::now_ns();
            if back - now > LONG_NS && self.siblings.taken() == taken {
                let until = back / 1_000_000 + HURRY_MS;
                self.keeps_processor_until_ms.set(until);
            }
        }
        if !self.was_woken.replace(false) {
            self.wait_for_siblings().await;
        }
    }

    /// Waits while a sibling has much less than this worker, but not for long, whatever siblings say. For each
    /// connection that came since this worker was woken the kernel has woken a sibling, if one was waiting.
    async fn wait_for_siblings(&self) {
        let mut taken = self.siblings.taken();
        let mut waits = 0;
        let start = clock::now_ms();
        while waits < MOST_WAITS
            && clock::now_ms() < start + LONGEST_MS
            && clock::now_ms() >= self.hurried_until_ms.get()
            && self.has_much_more_than_its_share()
        {
            // What waits in the backlog would keep this worker awake, and the processor from them.
            self.queue.leave();
            tokio::select! {
                () = sleep(WAIT) => waits += 1,
                () = self.open.freed() => {}
            }
            if self.siblings.taken() != taken {
                taken = self.siblings.taken();
                waits = 0;
            }
        }
        if waits == MOST_WAITS {
            let until = clock::now_ms() + HURRY_MS;
            self.hurried_until_ms.set(until);
        }
    }

    /// Says whether a sibling should take the next connection rather than this worker.
    fn has_more_than_its_share(&self) -> bool {
        self.siblings.any(self.open.are_short(), balance::leaves)
    }

    /// Says whether this worker waits for a sibling to take the next connection.
    fn has_much_more_than_its_share(&self) -> bool {
        self.siblings.any(self.open.are_short(), balance::waits_for)
    }

    /// Pauses where descriptors or memory ran out (EMFILE, ENFILE, ENOBUFS, ENOMEM): what is open goes on, but for a
    /// connection that can be missed, and what waits in the backlog is taken when there is room again. A socket that
    /// was shut down (EINVAL, accept(2)) is the supervisor's to see to.
    async fn pause(&mut self, error: &io::Error, evict: &impl Fn()) {
        let freed = self.open.freed();
        let shut_down = error.raw_os_error() == Some(libc::EINVAL);
        if !shut_down {
            evict();
        }
        let now = clock::now_ms();
        if now >= self.told_until_ms {
            self.told_until_ms = now + TOLD_AGAIN_MS;
            match error.raw_os_error() {
                Some(libc::EINVAL) => debug!("accepting pauses: the socket listens no more"),
                Some(libc::EMFILE | libc::ENFILE) => {
                    warning!("accepting pauses: {error}; raise the limit with `ulimit -n`");
                }
                _ => warning!("accepting pauses: {error}"),
            }
        }
        self.queue.leave();
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = freed, if !shut_down => {}
        }
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

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
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
