//! A `Tunnel` is a WebSocket that a mounted server has accepted: a stream to it whose data are the bytes of the
//! WebSocket, which pass as they are. What they mean is between the client and the server.

use super::head::Head;
use super::link::{Lease, Sent};
use super::server::SendError;
use super::{ATTEMPTS, Begun, Mount, MountFailure, is_unbegun};
use crate::request::{Body, Refusal, RequestContext, share, waiting};
use crate::scoreboard::SlotRef;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::request::Parts;
use http::{Response, StatusCode, header};
use std::any::Any;

pub struct Tunnel {
    pub receiver: RecvStream,
    pub sender: SendStream<Bytes>,
    /// This is held for as long as it lasts.
    _until_the_end: Box<dyn Any>,
}

impl Tunnel {
    /// Makes a tunnel of a stream, and keeps `until_the_end` for as long as it lasts.
    pub fn new(receiver: RecvStream, sender: SendStream<Bytes>, until_the_end: impl Any) -> Tunnel {
        Tunnel {
            receiver,
            sender,
            _until_the_end: Box::new(until_the_end),
        }
    }
}

/// A tunnel is `Counted` as an open WebSocket.
struct Counted(SlotRef);

impl Counted {
    fn begin(slot: &SlotRef) -> Counted {
        slot.websocket_opened();
        Counted(slot.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.websocket_closed();
    }
}

/// A `TunnelAnswer` is what a server answers that is asked for a WebSocket.
pub enum TunnelAnswer {
    /// The server has accepted, with this head.
    Open(Response<()>, Tunnel),
    /// The server has answered in another way.
    Response(Response<Body>),
    /// The server has no WebSockets: it is to be asked as if none was asked for.
    NotTaken(Parts),
}

impl Mount {
    /// Asks the mounted server for a WebSocket, by a request whose target is absolute (RFC 8441 section 5).
    pub(in crate::request) async fn open_tunnel(
        &self,
        parts: Parts,
        asked: &RequestContext<'_>,
    ) -> Result<TunnelAnswer, Refusal> {
        let RequestContext {
            arrival,
            exchange,
            progress,
            ..
        } = asked;
        let link = self.server.link().await;
        let link = link.map_err(|_| Refusal::Mount(MountFailure::Unreachable))?;
        if !link.takes_websockets() {
            return Ok(TunnelAnswer::NotTaken(parts));
        }
        let who = share::who(arrival.client, &self.proxies);
        let permit = waiting::permit(&self.websockets, who, progress, &self.slot).await;
        let permit = permit.map_err(|_| Refusal::Full)?;
        let sent = self.send_opening(&Head::websocket(parts, arrival)).await;
        let (head, sent) = sent.map_err(|failure| {
            if let MountFailure::Lost(why) = &failure {
                exchange.mount_failed(self.server.name(), why);
            }
            Refusal::Mount(failure)
        })?;
        if head.status() != StatusCode::OK {
            let begun = Begun {
                response: head,
                upload: None,
                lease: sent.lease,
            };
            return Ok(TunnelAnswer::Response(self.answer(begun, permit, exchange)));
        }
        let (mut head, receiver) = head.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        let held = (Counted::begin(&self.slot), permit, sent.lease);
        let tunnel = Tunnel::new(receiver, sent.body, held);
        Ok(TunnelAnswer::Open(Response::from_parts(head, ()), tunnel))
    }

    /// Sends the request until a server has begun it, and waits for its answer.
    async fn send_opening(
        &self,
        head: &Head,
    ) -> Result<(Response<RecvStream>, AskedTunnel), MountFailure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match self.server.send(head.request(), false).await {
                Ok(Sent {
                    response,
                    body,
                    lease,
                }) => match response.await {
                    Ok(response) => return Ok((response, AskedTunnel { body, lease })),
                    Err(error) => error,
                },
                Err(SendError::Refused(error)) => error,
                Err(SendError::Unreachable) => return Err(MountFailure::Unreachable),
            };
            if !is_unbegun(&error) || attempts == ATTEMPTS {
                let why = format!("its server gave no response: {error}");
                return Err(MountFailure::Lost(why));
            }
        }
    }
}

/// An `AskedTunnel` has what else there is of a stream that was asked for.
struct AskedTunnel {
    body: SendStream<Bytes>,
    lease: Lease,
}
