//! A `Server` is a mounted server as one worker sees it: the links to it, and what is told of its failures.

use super::link::{self, Link, Sent};
use crate::error;
use http::Request;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// A server may take this long until it speaks on a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Another link is opened where each has this many requests on their way, so that several workers of the server have
/// something to do; up to this many links.
const BUSY: usize = 4;
const LINKS: usize = 8;

/// Failures to connect are counted for this long before the count is told.
const QUIET: Duration = Duration::from_secs(10);

pub struct Server {
    /// The log names the server like this.
    name: String,
    /// The descriptor names the socket's inode, and can do nothing else (O_PATH, open(2)).
    socket: OwnedFd,
    links: RefCell<Vec<Rc<Link>>>,
    /// Whoever has it connects, and all others wait for that.
    connecting: Mutex<()>,
    /// The server may take this long until it speaks on a connection.
    patience: Duration,
    told: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

/// `Unreachable` says that the server does not answer at all.
#[derive(Debug)]
pub struct Unreachable;

impl Server {
    pub fn new(name: String, socket: OwnedFd) -> Server {
        Server {
            name,
            socket,
            links: RefCell::default(),
            connecting: Mutex::new(()),
            patience: PATIENCE,
            told: Cell::new(None),
            untold: Cell::new(0),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends the head of a request over a link that has room for it.
    pub async fn send(&self, head: Request<()>, ends: bool) -> Result<Sent, SendError> {
        let link = self
            .link()
            .await
            .map_err(|Unreachable| SendError::Unreachable)?;
        link.send(head, ends).map_err(SendError::Refused)
    }

    /// Finds a link, or opens one.
    pub async fn link(&self) -> Result<Rc<Link>, Unreachable> {
        let deadline = Instant::now() + self.patience;
        let (best, links) = self.best();
        match &best {
            Some(best) if best.open() < BUSY || links >= LINKS => return Ok(best.clone()),
            // Somebody is at it, and there is one to go on with.
            Some(best) if self.connecting.try_lock().is_err() => return Ok(best.clone()),
            _ => {}
        }
        match timeout_at(deadline, self.connect()).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(_)) | Err(_) if best.is_some() => best.ok_or(Unreachable),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.unreachable(&io::ErrorKind::TimedOut.into())),
        }
    }

    /// Opens a link, unless somebody else has opened one meanwhile.
    async fn connect(&self) -> io::Result<Rc<Link>> {
        let _turn = self.connecting.lock().await;
        if let (Some(best), links) = self.best()
            && (best.open() < BUSY || links >= LINKS)
        {
            return Ok(best);
        }
        let link = link::connect(self.socket.as_fd()).await?;
        self.links.borrow_mut().push(link.clone());
        Ok(link)
    }

    /// Finds the link with the fewest requests of those that have room; and how many there are.
    fn best(&self) -> (Option<Rc<Link>>, usize) {
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.is_usable());
        let roomy = links.iter().filter(|link| !link.is_full());
        let best = roomy.min_by_key(|link| link.open()).cloned();
        (best, links.len())
    }

    /// Tells the log, once for all that fail at about the same time.
    fn unreachable(&self, error: &io::Error) -> Unreachable {
        let now = Instant::now();
        let is_told = self.told.get().is_some_and(|told| now < told + QUIET);
        if is_told {
            self.untold.set(self.untold.get() + 1);
            return Unreachable;
        }
        self.told.set(Some(now));
        let name = &self.name;
        match self.untold.take() {
            0 => error!("mount {name}: cannot connect to its server: {error}"),
            count => error!(
                "mount {name}: cannot connect to its server: {error}; {count} more requests have failed so since this was last told"
            ),
        }
        Unreachable
    }
}

#[cfg(test)]
impl Server {
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub fn untold(&self) -> u64 {
        self.untold.get()
    }

    pub fn links(&self) -> usize {
        self.best().1
    }
}

/// A `SendError` says why a request was not sent.
#[derive(Debug)]
pub enum SendError {
    Unreachable,
    /// The link has ended meanwhile, or does not take such a request.
    Refused(h2::Error),
}
