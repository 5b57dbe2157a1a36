//! This room answers requests by mounted components: each has a server with processes of its own, which listens on a
//! Unix socket without a name. A worker chooses the server by host and path, and forwards the request to it.

mod answer;
mod choice;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod head;
mod link;
mod route;
mod server;
mod tunnel;
mod upload;

pub use answer::Answer;
pub use choice::{Choice, choose};
pub use route::Route;
pub use tunnel::{Tunnel, TunnelAnswer};

use super::admission::{Admission, Permit};
use super::exchange::Exchange;
use super::upload::{UploadError, UploadState};
use super::{Body, Proxies, Refusal, RequestContext, Settings, length, share, waiting};
use crate::guest::{self, is_bodiless};
use crate::scoreboard::SlotRef;
use answer::Held;
use anyhow::{Result, ensure};
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use head::Head;
use http::uri::Authority;
use http::{Method, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::ext::ReasonPhrase;
use link::{Lease, Sent};
use server::{SendError, Server};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use upload::{Outgoing, Sending};

/// A request is sent this often at most: each time to a server that has not begun it.
const ATTEMPTS: usize = 4;

/// `Mounts` are the mounted components, as one worker sees them.
pub struct Mounts {
    routes: Vec<Route>,
    mounts: Vec<Mount>,
}

/// A `Mount` is one mounted component.
pub struct Mount {
    server: Server,
    admission: Admission,
    websockets: Admission,
    /// The body of a response may pause for this long.
    idle: Duration,
    proxies: Proxies,
    slot: SlotRef,
}

/// A `MountFailure` says why a mounted server gave no head.
pub enum MountFailure {
    /// Nobody answers at its socket, which the log has been told.
    Unreachable,
    /// The server broke off, for this reason.
    Lost(String),
}

impl Mounts {
    /// Makes the mounts of a worker, where there are any; the sockets are those of the routes.
    pub fn new(
        settings: &Settings,
        slot: &SlotRef,
        sockets: Vec<OwnedFd>,
    ) -> Result<Option<Mounts>> {
        let routes = settings.mounts.clone();
        ensure!(
            routes.len() == sockets.len(),
            "there are {} mounts, and {} sockets for them",
            routes.len(),
            sockets.len()
        );
        if routes.is_empty() {
            return Ok(None);
        }
        let mounts = routes.iter().zip(sockets).map(|(route, socket)| Mount {
            server: Server::new(route.name.clone(), socket),
            admission: Admission::new(settings.concurrency, settings.queue, settings.queue_wait),
            websockets: Admission::lasting(settings.websockets.most),
            idle: settings.idle_body,
            proxies: settings.header_policy.proxies.clone(),
            slot: slot.clone(),
        });
        Ok(Some(Mounts {
            mounts: mounts.collect(),
            routes,
        }))
    }

    /// Finds who answers a request that names this host, and has this target; nobody of these where it is none. What a
    /// proxy says of the host counts for guests, and not here.
    pub fn find(&self, host: &Authority, target: &Uri) -> Result<Option<&Mount>, Refusal> {
        match choose(&self.routes, host.host(), target.path()) {
            Choice::Mount(index) => Ok(self.mounts.get(index)),
            Choice::None => Ok(None),
            Choice::Unclear => Err(Refusal::BadRequest),
        }
    }

    /// Resolves when no request is being forwarded.
    pub async fn idle(&self) {
        for mount in &self.mounts {
            mount.admission.idle().await;
            mount.websockets.idle().await;
        }
    }
}

impl Mount {
    /// Has the mounted server answer a request, whose target is absolute.
    pub(super) async fn forward(
        &self,
        request: guest::Request,
        asked: &RequestContext<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let RequestContext {
            arrival,
            exchange,
            progress,
            ..
        } = asked;
        let who = share::who(arrival.client, &self.proxies);
        let permit = waiting::permit(&self.admission, who, progress, &self.slot).await;
        let permit = permit.map_err(|_| Refusal::Full)?;
        let (parts, body) = request.into_parts();
        let outgoing = (!body.is_end_stream()).then(|| Outgoing::new(body));
        let head = Head::new(parts, arrival, outgoing.is_some());
        let mut asking = pin!(self.ask(&head, outgoing));
        let begun = poll_fn(|cx| {
            let polled = asking.as_mut().poll(cx);
            // What is wrong with the request is told, whatever the server makes of half of it.
            if let Some(fault) = exchange.upload().and_then(UploadState::fault) {
                return Poll::Ready(Err(Refusal::Body(fault)));
            }
            match polled {
                Poll::Pending if progress.take_evicted() => {
                    Poll::Ready(Err(Refusal::Body(UploadError::TooSlow)))
                }
                polled => polled.map(|begun| begun.map_err(Refusal::Mount)),
            }
        });
        let begun = begun.await;
        if let Err(Refusal::Mount(MountFailure::Lost(why))) = &begun {
            exchange.mount_failed(self.server.name(), why);
        }
        Ok(self.answer(begun?, permit, exchange))
    }

    /// Makes the response, whose body comes from the server.
    fn answer(&self, begun: Begun, permit: Permit, exchange: &Rc<Exchange>) -> Response<Body> {
        let (mut parts, stream) = begun.response.into_parts();
        if parts.status.canonical_reason().is_none() {
            parts.extensions.insert(ReasonPhrase::from_static(b""));
        }
        let is_bodiless = exchange.method() == Method::HEAD || is_bodiless(parts.status);
        let declared = match is_bodiless {
            true => Some(0),
            false => length::declared(&parts.headers).ok().flatten(),
        };
        let is_over = is_bodiless || stream.is_end_stream();
        let held = Held {
            mount: self.server.name().to_owned(),
            exchange: exchange.clone(),
            _until_the_end: (begun.upload, permit, begun.lease),
        };
        // Where there is no body, the end of the stream is waited for behind the client's back.
        let answer = Answer::new(stream, declared, self.idle, held);
        let body = match is_over {
            true => Body::empty(),
            false => Body::answer(answer),
        };
        Response::from_parts(parts, body)
    }
}

/// What has `Begun` is a response, while the request's own body may still be on its way.
struct Begun {
    response: Response<RecvStream>,
    upload: Option<Sending>,
    /// What the client sends through a tunnel goes this way.
    sender: Option<SendStream<Bytes>>,
    lease: Lease,
}

impl Mount {
    /// Sends a request until a server has begun it, and resolves when that gives the head of its response. One that
    /// was lost with its server is sent once more, where that does what sending it once would have done.
    async fn ask(&self, head: &Head, outgoing: Option<Outgoing>) -> Result<Begun, MountFailure> {
        let ends = outgoing.is_none() && !head.opens_tunnel();
        let mut attempts = 0;
        let mut was_lost = false;
        loop {
            attempts += 1;
            let error = match self.server.send(head.request(), ends).await {
                Ok(sent) => match begin(sent, head, outgoing.as_ref()).await {
                    Ok(begun) => return Ok(begun),
                    Err(error) => error,
                },
                Err(SendError::Refused(error)) => error,
                Err(SendError::Unreachable) => return Err(MountFailure::Unreachable),
            };
            // What ends one server could end them all.
            let is_lost = !was_lost && is_lost(&error) && head.is_idempotent();
            was_lost |= is_lost;
            let is_repeatable = (is_unbegun(&error) || is_lost) && attempts < ATTEMPTS;
            if !is_repeatable || !outgoing.as_ref().is_none_or(Outgoing::rewind) {
                let why = format!("its server gave no response: {error}");
                return Err(MountFailure::Lost(why));
            }
        }
    }
}

/// Says whether the server has said that it has not begun a request: by what it is about to close the connection
/// with, or by the stream's reset (RFC 9113 section 8.7).
fn is_unbegun(error: &h2::Error) -> bool {
    let is_refused = error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && error.is_go_away() || is_refused
}

/// Says whether the connection was lost, so that nobody knows how far the server had come.
fn is_lost(error: &h2::Error) -> bool {
    error.is_io()
}

/// Sends the body of a request whose head was sent, and waits for the response.
async fn begin(sent: Sent, head: &Head, outgoing: Option<&Outgoing>) -> Result<Begun, h2::Error> {
    let mut asked = Asked {
        response: sent.response,
        outgoing,
        unasked: (outgoing.is_some() || head.opens_tunnel()).then_some(sent.body),
        sending: None,
    };
    if !head.asks_first() {
        asked.send_body();
    }
    let response = poll_fn(|cx| asked.poll(cx)).await?;
    // A server may read on after it has begun to answer.
    asked.send_body();
    if let Some(outgoing) = outgoing {
        outgoing.settle();
    }
    Ok(Begun {
        response,
        upload: asked.sending,
        sender: asked.unasked,
        lease: sent.lease,
    })
}

/// An `Asked` server is one that a request was sent to.
struct Asked<'a> {
    response: ResponseFuture,
    outgoing: Option<&'a Outgoing>,
    /// The body is to be sent by this when the server asks for it. Where there is none, a tunnel is asked for.
    unasked: Option<SendStream<Bytes>>,
    sending: Option<Sending>,
}

impl Asked<'_> {
    fn send_body(&mut self) {
        if let Some(outgoing) = self.outgoing
            && let Some(sender) = self.unasked.take()
        {
            self.sending = Some(Sending::begin(outgoing.clone(), sender));
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, h2::Error>> {
        while self.unasked.is_some() && self.outgoing.is_some() {
            match self.response.poll_informational(cx) {
                Poll::Ready(Some(Ok(told))) if told.status() == StatusCode::CONTINUE => {
                    self.send_body();
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Pin::new(&mut self.response).poll(cx)
    }
}

#[cfg(test)]
mod tests;
