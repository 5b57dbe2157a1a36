//! One exchange: from the head of a request to the last byte of its response. Decides who is
//! answered, what a failure looks like to the client, and what is recorded of it. Knows nothing of
//! sockets.

mod admission;
mod body;
mod client;
mod exchange;
mod forwarded;
mod front;
mod ids;
mod origin;
mod proxies;
mod received;
mod reply;
mod root_path;

pub use body::{Body, Witness};
pub use front::Front;
pub use origin::{Origin, Peer};
pub use proxies::Proxies;
pub use root_path::RootPath;

use crate::guest::{self, Failure, Guest};
use crate::scoreboard::SlotRef;
use admission::Admission;
use exchange::Exchange;
use front::Arrival;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use ids::Ids;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// Limits of one exchange, and whether it is recorded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests answered at a time.
    pub concurrency: usize,
    /// Requests that may wait for their turn.
    pub queue: usize,
    /// How long they may wait.
    pub queue_wait: Duration,
    /// How long the guest may take until the head of its response.
    pub head: Duration,
    /// How long a response body may pause.
    pub idle_body: Duration,
    pub access_log: bool,
    pub front: Front,
}

/// Answers the requests of one worker.
pub struct Requests {
    guest: Guest,
    admission: Admission,
    settings: Settings,
    ids: Ids,
    slot: SlotRef,
}

impl Requests {
    pub fn new(guest: Guest, settings: Settings, slot: SlotRef) -> Requests {
        Requests {
            guest,
            admission: Admission::new(settings.concurrency, settings.queue, settings.queue_wait),
            settings,
            ids: Ids::seeded(),
            slot,
        }
    }

    /// Resolves when no request is being answered, not even after its response was complete.
    pub async fn idle(&self) {
        self.admission.idle(self.settings.concurrency).await;
    }

    /// Answers one request. There is always a response; what goes wrong after its head is an error of
    /// its body.
    pub async fn answer(
        self: &Rc<Self>,
        origin: &Origin,
        mut request: Request<Incoming>,
    ) -> Response<Body> {
        let front = &self.settings.front;
        let arrival = front.receive(origin, request.headers_mut(), &self.ids);
        let exchange = Exchange::begin(&arrival, &request, &self.slot, self.settings.access_log);
        let mut response = match self.try_answer(origin, &arrival, request, &exchange).await {
            Ok((response, seat)) => {
                let mut response = reply::finish(response, &exchange);
                let body = response.body_mut();
                body.occupy(seat, exchange, self.settings.idle_body);
                response
            }
            Err(refusal) => refusal.reply(exchange),
        };
        front.send(response.headers_mut(), arrival.id.as_ref());
        response
    }

    async fn try_answer(
        &self,
        origin: &Origin,
        arrival: &Arrival,
        request: Request<Incoming>,
        exchange: &Exchange,
    ) -> Result<(guest::Response, admission::Seat), Refusal> {
        let root = self.settings.front.root_path.as_ref();
        let request = absolute(request, origin, arrival, root).ok_or(Refusal::BadRequest)?;
        let request = request.map(|body| received::body(body, exchange));
        let seat = self.admission.enter().await.map_err(|_| Refusal::Full)?;
        exchange.enter_guest();
        let mut answer = pin!(self.guest.answer(request));
        let answer = poll_fn(|cx| exchange.in_guest(|| answer.as_mut().poll(cx)));
        match tokio::time::timeout(self.settings.head, answer).await {
            Ok(Ok(response)) => Ok((response, seat)),
            Ok(Err(failure)) => Err(Refusal::Failed(failure)),
            Err(_) => Err(Refusal::Failed(Failure::TimedOut)),
        }
    }
}

/// Why a request gets an answer from us and not from the guest.
pub(crate) enum Refusal {
    BadRequest,
    Full,
    Failed(Failure),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::BadRequest => StatusCode::BAD_REQUEST,
            Refusal::Full => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Failed(Failure::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reply(self, exchange: Exchange) -> Response<Body> {
        let response = reply::plain(self.status(), matches!(self, Refusal::Full));
        if let Refusal::Failed(failure) = self {
            exchange.failed(&failure);
        }
        exchange.head(response.status());
        response
    }
}

/// The request as guests get it: with the scheme and the authority that the client meant.
/// None where RFC 9112 section 3.2 wants a 400: no Host, or several, or one that is no authority.
fn absolute(
    request: Request<Incoming>,
    origin: &Origin,
    arrival: &Arrival,
    root: Option<&RootPath>,
) -> Option<Request<Incoming>> {
    let (mut parts, body) = request.into_parts();
    let authority = match parts.uri.authority() {
        Some(authority) => authority.clone(),
        None => authority(&parts.headers, parts.version, origin)?,
    };
    let path = match parts.uri.path_and_query() {
        Some(path) => root
            .and_then(|root| root.strip(path))
            .unwrap_or_else(|| path.clone()),
        None if parts.method == Method::OPTIONS => PathAndQuery::from_static("*"),
        None => PathAndQuery::from_static("/"),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(arrival.scheme.clone());
    uri.authority = Some(arrival.authority.clone().unwrap_or(authority));
    uri.path_and_query = Some(path);
    parts.uri = Uri::from_parts(uri).ok()?;
    Some(Request::from_parts(parts, body))
}

fn authority(headers: &HeaderMap, version: Version, origin: &Origin) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        (None, _) if version <= Version::HTTP_10 => match origin.server {
            Some(server) => Authority::try_from(server.to_string()).ok(),
            None => Some(Authority::from_static("localhost")),
        },
        _ => None,
    }
}
