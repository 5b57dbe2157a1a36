//! A connection, or a stream of HTTP/2, has become a WebSocket here: it lasts until one end closes it, or the worker
//! goes.

mod close_code;
mod duplex;
mod keep_alive;
mod link;
mod message_rate;
mod wire;

use super::watchdog::{Manner, WatchedConnection};
use super::{Busy, ClientConnection};
use crate::request::websocket::{self, WebSocket};
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
use wire::{Wire, WriteCapacity};

/// Carries messages until the connection ends, and then lets the guest come to its end.
pub async fn serve(
    client: &Rc<ClientConnection>,
    transport: impl AsyncRead + AsyncWrite + Unpin,
    socket: WebSocket,
) {
    let activity = &client.activity;
    let busy = Busy::begin(activity);
    busy.answered();
    let room = WriteCapacity::OfConnection(activity.clone());
    let mut link = Link::new(Wire::new(transport, room), socket);
    let watched = WatchedConnection {
        connections: &client.connections,
        activity,
        manner: Manner::Http1,
    };
    let end = watched.run(pin!(carry(client, &mut link))).await;
    finish(client, link, end.unwrap_or(End::Gone)).await;
}

/// Serves a WebSocket on one stream of a connection that has others.
pub async fn serve_stream(
    client: &Rc<ClientConnection>,
    progress: &Rc<ClientProgress>,
    (receiver, sender): (RecvStream, SendStream<Bytes>),
    socket: WebSocket,
) {
    let transport = Duplex::new(receiver, sender, progress, &client.activity);
    let mut link = Link::new(Wire::new(transport, WriteCapacity::OfTransport), socket);
    let write = client.connections.settings.write;
    let mut timer = Timer::default();
    let mut carrying = Box::pin(carry(client, &mut link));
    let end = poll_fn(|cx| {
        if let Poll::Ready(end) = carrying.as_mut().poll(cx) {
            return Poll::Ready(end);
        }
        let stalled = progress.poll_stalled(&mut timer, write, cx);
        stalled.map(|()| End::Gone)
    });
    let end = end.await;
    drop(carrying);
    finish(client, link, end).await;
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
        // Closing over what the client may still be sending would reset the connection.
        End::Closed => {
            tokio::join!(client.linger(transport), finished);
        }
        End::Gone => {
            drop(transport);
            finished.await;
        }
    }
}
