//! A connection, or a stream of HTTP/2, has become a WebSocket here: it lasts until one end closes it, or the worker
//! goes.

mod boundary;
mod client_close;
mod close_code;
mod duplex;
mod keep_alive;
mod link;
mod message_rate;
mod pace;
mod tunnel;
mod wire;

use super::timeouts::{BEFORE_THE_END, CLOSED_WEBSOCKET};
use super::watchdog::{Manner, WatchedConnection};
use super::{Busy, ClientConnection};
use crate::request::websocket::{self, OpenedWebSocket};
use crate::request::{ClientProgress, Timer};
use bytes::Bytes;
use duplex::Duplex;
use h2::{RecvStream, SendStream};
use link::{End, Link};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep_until;
use tunnel::Pipe;
use wire::{Wire, WriteCapacity};

/// Carries messages until the connection ends, and then lets the guest come to its end.
pub async fn serve(
    client: &Rc<ClientConnection>,
    transport: impl AsyncRead + AsyncWrite + Unpin,
    socket: OpenedWebSocket,
) {
    let activity = &client.activity;
    let busy = Busy::begin(activity);
    busy.answered();
    let room = WriteCapacity::OfConnection(activity.clone());
    let watched = WatchedConnection {
        connections: &client.connections,
        activity,
        manner: Manner::Http1,
    };
    let wire = Wire::new(transport, room);
    match socket {
        OpenedWebSocket::Guest(socket) => {
            let mut link = Link::new(wire, *socket);
            let end = watched.run(pin!(carry(client, &mut link))).await;
            finish(client, link, end.unwrap_or(End::Gone)).await;
        }
        OpenedWebSocket::Mount(tunnel) => {
            let mut pipe = Pipe::new(wire, tunnel);
            let end = watched.run(pin!(pass(client, &mut pipe))).await;
            end_pipe(client, pipe, end.unwrap_or(End::Gone)).await;
        }
    }
}

/// Serves a WebSocket on one stream of a connection that has others.
pub async fn serve_stream(
    client: &Rc<ClientConnection>,
    progress: &Rc<ClientProgress>,
    (receiver, sender): (RecvStream, SendStream<Bytes>),
    socket: OpenedWebSocket,
) {
    let transport = Duplex::new(receiver, sender, progress, &client.activity);
    let wire = Wire::new(transport, WriteCapacity::OfTransport);
    match socket {
        OpenedWebSocket::Guest(socket) => {
            let mut link = Link::new(wire, *socket);
            let end = while_taken(client, progress, carry(client, &mut link)).await;
            finish(client, link, end).await;
        }
        OpenedWebSocket::Mount(tunnel) => {
            let mut pipe = Pipe::new(wire, tunnel);
            let end = while_taken(client, progress, pass(client, &mut pipe)).await;
            end_pipe(client, pipe, end).await;
        }
    }
}

/// Waits for the end, but not for longer than the client takes what is written.
async fn while_taken(
    client: &ClientConnection,
    progress: &ClientProgress,
    carrying: impl Future<Output = End>,
) -> End {
    let write = client.connections.settings.write;
    let mut timer = Timer::default();
    let mut carrying = Box::pin(carrying);
    poll_fn(|cx| {
        if let Poll::Ready(end) = carrying.as_mut().poll(cx) {
            return Poll::Ready(end);
        }
        let stalled = progress.poll_stalled(&mut timer, write, cx);
        stalled.map(|()| End::Gone)
    })
    .await
}

/// Passes bytes on until one end closes, and closes when the worker goes: at once where all go, as a WebSocket of the
/// application is closed.
async fn pass<T: AsyncRead + AsyncWrite + Unpin>(
    client: &ClientConnection,
    pipe: &mut Pipe<T>,
) -> End {
    let shutdown = &client.connections.shutdown;
    let leaves = async {
        shutdown.wait().await;
        let Some(until) = shutdown.until() else {
            return (close_code::AWAY, "the server stops");
        };
        sleep_until((until - BEFORE_THE_END).into()).await;
        (close_code::RESTART, "the worker is replaced")
    };
    let (code, reason) = tokio::select! {
        end = poll_fn(|cx| pipe.poll(cx)) => return end,
        leaves = leaves => leaves,
    };
    pipe.close(code, reason);
    poll_fn(|cx| pipe.poll(cx)).await
}

async fn end_pipe<T: AsyncRead + AsyncWrite + Unpin>(
    client: &ClientConnection,
    pipe: Pipe<T>,
    end: End,
) {
    let transport = pipe.into_transport();
    match end {
        // Closing over what the client may still be sending would reset the connection before it has read the close.
        End::Closed => client.linger(transport, CLOSED_WEBSOCKET).await,
        End::Gone => drop(transport),
    }
}

/// Carries messages until one end closes, and closes when the worker goes.
async fn carry<T: AsyncRead + AsyncWrite + Unpin>(
    client: &ClientConnection,
    link: &mut Link<T>,
) -> End {
    let shutdown = &client.connections.shutdown;
    let mut departs = pin!(shutdown.wait());
    let mut given_up = pin!(link.given_up());
    let (mut leaves, mut is_given_up) = (false, false);
    poll_fn(|cx| {
        // What is to be sent then is there.
        is_given_up = is_given_up || given_up.as_mut().poll(cx).is_ready();
        if !leaves && departs.as_mut().poll(cx).is_ready() {
            leaves = true;
            link.leave(shutdown.until());
        }
        link.poll(cx)
    })
    .await
}

async fn finish<T: AsyncRead + AsyncWrite + Unpin>(
    client: &ClientConnection,
    link: Link<T>,
    end: End,
) {
    let (socket, transport) = link.into_parts();
    let finished = websocket::finish(socket);
    match end {
        // Closing over what the client may still be sending would reset the connection before it has read the close.
        End::Closed => {
            tokio::join!(client.linger(transport, CLOSED_WEBSOCKET), finished);
        }
        End::Gone => {
            drop(transport);
            finished.await;
        }
    }
}
