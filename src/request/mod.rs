//! This room has one exchange, from the head of a request to the last byte of its response. It decides who is
//! answered, what a failure looks like to the client, and what is recorded of it. It knows nothing of sockets.

mod admission;
mod ambiguous_names;
mod announced_body;
mod body;
mod client;
mod client_progress;
pub mod client_rate;
pub mod compress;
mod compressed;
mod drain;
mod exchange;
pub mod files;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod header_policy;
mod host;
mod ids;
mod incoming;
pub mod length;
pub mod mounts;
mod octets;
mod operator_fields;
mod origin;
mod proxies;
mod redirect;
mod refusal;
mod reply;
mod root_path;
mod share;
mod spans;
mod startup_failure;
mod timer;
mod upload;
mod waiting;
pub mod websocket;

pub use announced_body::{AnnouncedBodies, AnnouncedBody};
pub use body::Body;
pub use client_progress::ClientProgress;
pub use drain::{LINGER, LINGER_IDLE};
pub use header_policy::HeaderPolicy;
pub use host::{host, is_host};
pub use incoming::{BodyReading, Incoming, Streamed, asks_first};
pub use octets::Octets;
pub use origin::{Origin, Peer};
pub use proxies::Proxies;
pub use root_path::RootPath;
pub use timer::Timer;

use crate::guest::{self, Failure, Guest};
use crate::info;
use crate::scoreboard::SlotRef;
use crate::trace::Tracing;
use admission::Admission;
use anyhow::Result;
use exchange::Exchange;
use files::Files;
use header_policy::Arrival;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Empty};
use ids::Ids;
use mounts::{Mounts, Route};
pub(crate) use refusal::Refusal;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use upload::{Upload, UploadError, UploadLimits, UploadState};
use websocket::WebSockets;

/// `Settings` has the limits of one exchange, and says what is done with it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This many requests are answered at a time.
    pub concurrency: usize,
    /// This many requests may wait for a permit.
    pub queue: usize,
    /// Requests may wait for this long.
    pub queue_wait: Duration,
    /// The guest may take this long until the head of its response.
    pub head: Duration,
    /// A body may pause for this long, in either direction.
    pub idle_body: Duration,
    /// A request's body may have this many bytes.
    pub body: u64,
    /// A client must send or take this many bytes per second while it is waited for.
    pub rate: u64,
    /// A request may have this many header fields.
    pub fields: usize,
    pub access_log: bool,
    /// Requests belong to traces in this way, where they do.
    pub tracing: Option<Tracing>,
    /// These responses are compressed for clients that accept it.
    pub compress: Option<compress::Settings>,
    /// The files of these directories are served.
    pub files: Vec<files::Directory>,
    /// Mounted servers answer requests of these routes.
    pub mounts: Vec<Route>,
    pub header_policy: HeaderPolicy,
    pub websockets: websocket::Settings,
}

/// No method that is registered has more than 17 letters.
pub const LONGEST_METHOD: usize = 64;

/// A proxy on this machine may add this many header fields to what it has judged.
const ADDED: usize = 32;

/// `Requests` answers the requests of one worker.
pub struct Requests {
    /// There is none where nobody but mounted servers answers.
    guest: Option<Guest>,
    admission: Admission,
    websockets: WebSockets,
    settings: Settings,
    files: Option<Files>,
    mounts: Option<Mounts>,
    ids: Ids,
    slot: SlotRef,
}

impl Requests {
    /// Makes them; the sockets are those of the mounted servers, in the order of the settings.
    pub fn new(
        guest: Option<Guest>,
        settings: Settings,
        slot: SlotRef,
        sockets: Vec<OwnedFd>,
    ) -> Result<Requests> {
        let directories = Some(&settings.files).filter(|files| !files.is_empty());
        let files = directories.map(|files| Files::open(files)).transpose()?;
        Ok(Requests {
            guest,
            files,
            mounts: Mounts::new(&settings, &slot, sockets)?,
            admission: Admission::new(settings.concurrency, settings.queue, settings.queue_wait),
            websockets: WebSockets::new(settings.websockets),
            settings,
            ids: Ids::seeded(),
            slot,
        })
    }

    /// Returns where what happens to connections is counted.
    pub fn slot(&self) -> &SlotRef {
        &self.slot
    }

    /// Starts the clock that interrupts guests.
    pub fn start_clock(&self) -> Result<()> {
        self.guest.as_ref().map_or(Ok(()), Guest::start_clock)
    }

    /// Resolves when no request is being answered, not even after its response was complete, and nothing of one is
    /// left in a database.
    pub async fn end(&self) {
        self.admission.idle().await;
        if let Some(mounts) = &self.mounts {
            mounts.idle().await;
        }
        if let Some(guest) = &self.guest {
            guest.end().await;
        }
    }

    /// Answers one request, or redirects it to https at this port. There is always a response; what goes
    /// wrong after its head is an error of its body.
    pub async fn answer(
        &self,
        origin: &Origin,
        mut request: Request<Incoming>,
        redirect: Option<u16>,
        progress: &Rc<ClientProgress>,
    ) -> Response<Body> {
        let valid = self.validate(origin, &request);
        let compress = self.settings.compress.map(|settings| {
            let coding = compress::Coding::wanted(request.headers());
            (settings, coding, request.method().clone())
        });
        let policy = &self.settings.header_policy;
        let mut arrival = self.receive(origin, request.headers_mut());
        if let Some(tracing) = self.settings.tracing {
            arrival.trace(tracing, policy.proxies.trust(origin.peer), &mut request);
        }
        let exchange = Exchange::begin(&arrival, &request, &self.slot, self.settings.access_log);
        let answered = match (valid, redirect) {
            (Err(refusal), _) => {
                drain::drain(request.into_body());
                Err(refusal)
            }
            (Ok(()), Some(port)) => {
                let (parts, body) = request.into_parts();
                drain::drain(body);
                redirect::location(&parts, origin, &arrival, port)
                    .map(Answerer::Redirect)
                    .ok_or(Refusal::BadRequest)
            }
            (Ok(()), None) => {
                let asked = RequestContext {
                    origin,
                    arrival: &arrival,
                    exchange: &exchange,
                    progress,
                };
                self.try_answer(request, &asked).await
            }
        };
        let compressible = matches!(answered, Ok(Answerer::File(_) | Answerer::Guest(..)));
        let mut response = match answered {
            Ok(Answerer::File(response)) => response.map(Body::file),
            Ok(Answerer::Guest(mut response, permit)) => {
                let body = response.body_mut();
                body.occupy(permit, &exchange, self.settings.idle_body);
                response
            }
            Ok(Answerer::Mount(response)) => response,
            Ok(Answerer::Redirect(location)) => {
                let mut response = reply::plain(StatusCode::PERMANENT_REDIRECT, exchange.method());
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            Err(refusal) => {
                if let Some(why) = refusal.why() {
                    let status = refusal.status().as_u16();
                    info!("{} - refused a request: {why} ({status})", arrival.client);
                }
                refusal.reply(&exchange)
            }
        };
        if let Some((settings, coding, method)) = compress.filter(|_| compressible) {
            reply::compress(&mut response, settings, coding, &method);
        }
        policy.send(response.headers_mut(), arrival.id.as_ref());
        exchange.head(&response);
        response.body_mut().record(exchange);
        response
    }

    /// Judges a head as the client sent it.
    fn validate(&self, origin: &Origin, request: &Request<Incoming>) -> Result<(), Refusal> {
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        let added = match self.speaks_for_many(origin.peer) {
            true => ADDED,
            false => 0,
        };
        if request.headers().len() > self.settings.fields.saturating_add(added) {
            return Err(Refusal::Head);
        }
        if request.method().as_str().len() > LONGEST_METHOD {
            return Err(Refusal::UnknownMethod);
        }
        let declared = incoming::declared(request.headers()).map_err(|_| Refusal::BadRequest)?;
        let body = request.body();
        let known = body.size_hint().lower().max(body.announced());
        if known.max(declared) > self.settings.body {
            return Err(Refusal::Body(UploadError::TooLarge));
        }
        Ok(())
    }

    async fn try_answer(
        &self,
        request: Request<Incoming>,
        asked: &RequestContext<'_>,
    ) -> Result<Answerer, Refusal> {
        let RequestContext {
            exchange, progress, ..
        } = asked;
        let absolute = self.absolute(request, asked);
        let (request, named) = absolute.ok_or(Refusal::BadRequest)?;
        if let Some(mounts) = &self.mounts
            && let Some(mount) = mounts.find(&named, request.uri())?
        {
            let forwarded = Box::pin(mount.forward(request, asked)).await;
            return forwarded.map(Answerer::Mount);
        }
        let mut request = request;
        self.add_fields_late(request.headers_mut(), asked.arrival);
        let mut request = match &self.files {
            None => request,
            Some(files) => {
                let (parts, body) = request.into_parts();
                let root = self.settings.header_policy.root_path.as_ref();
                if let Some(response) = files.answer(&parts, root).await {
                    return Ok(Answerer::File(response));
                }
                Box::new(Request::from_parts(parts, body))
            }
        };
        let guest = self.guest.as_ref().ok_or(Refusal::NotFound)?;
        let who = share::who(asked.arrival.client, &self.settings.header_policy.proxies);
        let permit = waiting::permit(&self.admission, who, progress, &self.slot).await;
        let permit = permit.map_err(|_| Refusal::Full)?;
        exchange.enter_guest(guest.record(&mut request));
        let upload = exchange.upload();
        let mut answer = pin!(guest.answer(request));
        let mut answer = pin!(poll_fn(|cx| {
            let polled = exchange.in_guest(|| answer.as_mut().poll(cx));
            // A client that does not send what the guest waits for is told without asking the guest what it thinks.
            let too_slow = upload.and_then(UploadState::fault) == Some(UploadError::TooSlow);
            match polled {
                Poll::Pending if too_slow || progress.take_evicted() => {
                    Poll::Ready(Err(Refusal::Body(UploadError::TooSlow)))
                }
                polled => polled.map(Ok),
            }
        }));
        // Most answer without a pause, and no clock is set for them.
        let answer = match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
            Poll::Ready(answer) => answer?,
            Poll::Pending => match tokio::time::timeout(self.settings.head, answer).await {
                Ok(answer) => answer?,
                Err(_) => Err(Failure::TimedOut),
            },
        };
        // Where the body was not what it should be, the guest's view of it does not count.
        if let Some(fault) = upload.and_then(UploadState::fault) {
            return Err(Refusal::Body(fault));
        }
        match answer.and_then(|response| reply::finish(response, exchange.method())) {
            Ok(response) => Ok(Answerer::Guest(response, permit)),
            Err(Failure::TimedOut) if upload.is_some_and(UploadState::is_waiting) => {
                Err(Refusal::Body(UploadError::TooSlow))
            }
            Err(Failure::NoRoom) => {
                waiting::no_memory(&self.slot);
                Err(Refusal::Full)
            }
            Err(failure) => Err(Refusal::Failed(failure)),
        }
    }

    /// Makes the request as guests get it; and the host that it names.
    fn absolute(
        &self,
        request: Request<Incoming>,
        asked: &RequestContext<'_>,
    ) -> Option<(guest::Request, Authority)> {
        let (mut parts, body) = request.into_parts();
        let root = self.settings.header_policy.root_path.as_ref();
        let Some(target) = host::target(&parts, asked.origin, asked.arrival, root) else {
            drain::drain(body);
            return None;
        };
        parts.uri = target.uri;
        if self.guest.as_ref().is_some_and(Guest::is_bridged) {
            header_policy::tell_client(&mut parts.headers, asked.arrival.client);
        }
        asked.progress.uploads(None);
        let body = if body.is_end_stream() {
            Empty::new().map_err(|never| match never {}).boxed_unsync()
        } else {
            let limits = UploadLimits {
                most: self.settings.body,
                idle: self.settings.idle_body,
                rate: self.settings.rate,
            };
            let upload = Upload::new(body, limits);
            asked.exchange.uploads(upload.upload_state());
            asked.progress.uploads(Some(upload.upload_state()));
            upload.boxed_unsync()
        };
        let request = Box::new(Request::from_parts(parts, body));
        Some((request, target.named))
    }
}

/// `RequestContext` is what is known of a request beside itself.
struct RequestContext<'a> {
    origin: &'a Origin,
    arrival: &'a Arrival,
    exchange: &'a Rc<Exchange>,
    progress: &'a Rc<ClientProgress>,
}

/// An `Answerer` says who answers.
enum Answerer {
    File(Response<files::FileBody>),
    Guest(Response<Body>, admission::Permit),
    Mount(Response<Body>),
    /// The request is to be made at this URL, for good and whatever its method (RFC 9110 section 15.4.9).
    Redirect(HeaderValue),
}
