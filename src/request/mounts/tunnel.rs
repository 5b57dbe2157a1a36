//! A `Tunnel` is a WebSocket that a mounted server has accepted: a stream to it whose data are the bytes of the
//! WebSocket, which pass as they are. What they mean is between the client and the server.

use super::head::Head;
use super::{Begun, Mount, MountFailure};
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
        let head = Head::websocket(parts, arrival);
        let begun = self.ask(&head, None).await.map_err(|failure| {
            if let MountFailure::Lost(why) = &failure {
                exchange.mount_failed(self.server.name(), why);
            }
            Refusal::Mount(failure)
        })?;
        if begun.response.status() != StatusCode::OK {
            return Ok(TunnelAnswer::Response(self.answer(begun, permit, exchange)));
        }
        let Begun {
            response,
            sender: Some(sender),
            lease,
            ..
        } = begun
        else {
            let why = "its server has opened what was not asked for".to_owned();
            return Err(Refusal::Mount(MountFailure::Lost(why)));
        };
        let (mut head, receiver) = response.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        let held = (Counted::begin(&self.slot), permit, lease);
        let tunnel = Tunnel::new(receiver, sender, held);
        Ok(TunnelAnswer::Open(Response::from_parts(head, ()), tunnel))
    }
}
