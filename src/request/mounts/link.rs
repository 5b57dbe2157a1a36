//! A `Link` is one connection to a mounted server: it speaks HTTP/2, and has many requests on their way at a time.
//!
//! The library beneath is used as it is, without what hyper puts before it: that takes a request's body for good, where
//! a request that was not begun is to be sent again, and sends it on when the client has left.

use bytes::Bytes;
use h2::Ping;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::Request;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, Sleep, sleep};

/// No more requests than this are on their way over one link.
const STREAMS: usize = 128;

/// This many bytes of one response may wait for its client, and so many of all together that none holds up another.
const WINDOW: u32 = 256 << 10;
const ALL_WINDOWS: u32 = WINDOW * STREAMS as u32;

/// This many bytes of one request's body are gathered while the socket has no room.
const GATHERED: usize = 128 << 10;

/// The head of a response has no more bytes than this.
const HEAD: u32 = 1 << 20;

/// This many streams that were reset are remembered, so that what still comes of them is no mistake.
const RESETS: usize = 1024;

/// A link over which nothing was asked for this long is closed: the mounted server may end itself when it is idle.
const IDLE: Duration = Duration::from_secs(30);

/// So many servers in a row may leave before they speak.
const ATTEMPTS: usize = 4;

/// A connection is tried again after this long where the server's backlog is full (unix(7)).
const FULL: Duration = Duration::from_millis(5);

pub struct Link {
    /// The sender is `None` once nothing more is asked over this link.
    sender: RefCell<Option<SendRequest<Bytes>>>,
    open: Cell<usize>,
    /// Nothing was asked since then.
    rests_since: Cell<Instant>,
}

/// A `Lease` is held for as long as a request is on its way over a link.
pub struct Lease(Rc<Link>);

/// A `Sent` request is on its way.
pub struct Sent {
    pub response: ResponseFuture,
    pub body: SendStream<Bytes>,
    pub lease: Lease,
}

/// Connects to the socket that this descriptor names, and waits until somebody speaks there. One that leaves before
/// that has come to its end as a server, and the next is tried.
pub async fn connect(socket: BorrowedFd<'_>) -> io::Result<Rc<Link>> {
    let mut attempts = 1;
    loop {
        let transport = open(socket).await?;
        match shake_hands(transport).await {
            Ok(link) => return Ok(link),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => attempts += 1,
        }
    }
}

async fn open(socket: BorrowedFd<'_>) -> io::Result<UnixStream> {
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    loop {
        match UnixStream::connect(&path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            opened => return opened,
        }
    }
}

async fn shake_hands(transport: UnixStream) -> io::Result<Rc<Link>> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(GATHERED)
        .max_concurrent_reset_streams(RESETS)
        .max_local_error_reset_streams(None);
    let shaken = builder.handshake::<_, Bytes>(transport).await;
    let (sender, mut connection) = shaken.map_err(into_io)?;
    greet(&mut connection).await?;
    let link = Rc::new(Link {
        sender: RefCell::new(Some(sender)),
        open: Cell::new(0),
        rests_since: Cell::new(Instant::now()),
    });
    spawn_local(drive(link.clone(), connection));
    Ok(link)
}

fn into_io(error: h2::Error) -> io::Error {
    match error.into_io() {
        Some(error) => error,
        None => io::Error::other("it does not speak HTTP/2"),
    }
}

/// Waits for an answer to a ping, before which the server's settings come: then it serves the connection, and says so
/// when it is about to close it.
async fn greet(connection: &mut Connection<UnixStream, Bytes>) -> io::Result<()> {
    let Some(mut pings) = connection.ping_pong() else {
        return Ok(());
    };
    let mut answered = pin!(pings.ping(Ping::opaque()));
    poll_fn(|cx| {
        if let Poll::Ready(answered) = answered.as_mut().poll(cx) {
            return Poll::Ready(answered.map(drop).map_err(into_io));
        }
        let closed = Pin::new(&mut *connection).poll(cx);
        closed.map(|closed| {
            closed.map_err(into_io)?;
            Err(io::ErrorKind::ConnectionReset.into())
        })
    })
    .await
}

/// Drives a link to its end, which comes when it has rested for long.
async fn drive(link: Rc<Link>, mut connection: Connection<UnixStream, Bytes>) {
    let mut rest: Pin<Box<Sleep>> = Box::pin(sleep(IDLE));
    poll_fn(|cx| {
        link.look_whether_idle(rest.as_mut(), cx);
        Pin::new(&mut connection).poll(cx).map(drop)
    })
    .await;
    link.retire();
}

impl Link {
    /// Says whether something can be asked over this link.
    pub fn is_usable(&self) -> bool {
        let mut sender = self.sender.borrow_mut();
        let Some(open) = &mut *sender else {
            return false;
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let is_gone = matches!(open.poll_ready(&mut cx), Poll::Ready(Err(_)));
        if is_gone {
            *sender = None;
        }
        !is_gone
    }

    /// Returns how many requests are on their way.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Says whether the server takes no more requests at a time.
    pub fn is_full(&self) -> bool {
        let sender = self.sender.borrow();
        let allowed = sender
            .as_ref()
            .map_or(0, SendRequest::current_max_send_streams);
        self.open.get() >= allowed.min(STREAMS)
    }

    /// Says whether the server takes extended CONNECT (RFC 8441), which opens WebSockets.
    pub fn takes_websockets(&self) -> bool {
        let sender = self.sender.borrow();
        let sender = sender.as_ref();
        sender.is_some_and(SendRequest::is_extended_connect_protocol_enabled)
    }

    /// Sends the head of a request. The error says that nothing was sent.
    pub fn send(self: &Rc<Self>, head: Request<()>, ends: bool) -> Result<Sent, h2::Error> {
        // Each sender remembers which stream it opened last, and waits for that one alone.
        let Some(mut sender) = self.sender.borrow().clone() else {
            return Err(Reason::REFUSED_STREAM.into());
        };
        let (response, body) = sender.send_request(head, ends)?;
        self.open.set(self.open.get() + 1);
        let lease = Lease(self.clone());
        Ok(Sent {
            response,
            body,
            lease,
        })
    }

    /// Has nothing more be asked over this link, which ends when nothing is on its way any more.
    pub fn retire(&self) {
        self.sender.take();
    }

    fn look_whether_idle(&self, mut rest: Pin<&mut Sleep>, cx: &mut Context<'_>) {
        while rest.as_mut().poll(cx).is_ready() {
            let (now, until) = (Instant::now(), self.rests_since.get() + IDLE);
            let rests = self.open.get() == 0;
            if rests && until <= now {
                self.retire();
            }
            let next = if rests && until > now {
                until
            } else {
                now + IDLE
            };
            rest.as_mut().reset(next);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let link = &self.0;
        link.open.set(link.open.get() - 1);
        link.rests_since.set(Instant::now());
    }
}
