//! This room decides whether a WebSocket is opened, by which answer, and what is recorded of it. How it is framed is
//! the connection's business.

mod handshake;
mod mounted;
mod session_record;

pub use crate::guest::websocket::{Closed, Message, Outgoing};
pub use handshake::{OpeningMethod, asked};
pub use session_record::SessionRecord;

use super::admission::{Admission, Permit};
use super::exchange::Exchange;
use super::header_policy::Arrival;
use super::mounts::Tunnel;
use super::{Body, ClientProgress, Origin, Refusal, RequestContext, Requests, host, reply, share};
use crate::guest::Failure;
use crate::guest::websocket::{Bounds, Opening, OpeningAnswer, RequestName, WebSocketSession};
use crate::scoreboard::Shed;
use crate::sys::clock;
use crate::{info, log};
use bytes::Bytes;
use handshake::InvalidOpening;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use session_record::Opener;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// `Settings` says what WebSockets may cost, and how they are kept alive.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// One worker has this many WebSockets.
    pub most: usize,
    /// One message of the client's may have this many bytes.
    pub size: usize,
    /// This many messages may wait in each direction.
    pub queue: usize,
    /// The client is sent a ping when nothing came for this long; 0 where it is sent none.
    pub ping_interval: Duration,
    /// The client may take this long to answer; 0 where it may take for ever.
    pub ping_timeout: Duration,
    /// Nothing may come for this long of a message that has begun, and the client's least rate holds for it on average.
    pub idle: Duration,
    pub rate: u64,
    /// A guest may go on for this long once its client is gone.
    pub rest: Duration,
}

/// A guest's messages wait until this many bytes do.
const SENT: usize = 1 << 20;

/// `WebSockets` are those of one worker.
pub struct WebSockets {
    admission: Admission,
    settings: Settings,
}

impl WebSockets {
    pub fn new(settings: Settings) -> WebSockets {
        WebSockets {
            admission: Admission::lasting(settings.most),
            settings,
        }
    }
}

/// A `WebSocket` is one that its guest has accepted.
pub struct WebSocket {
    pub session: WebSocketSession,
    pub record: SessionRecord,
    pub settings: Settings,
    /// The permit is held for as long as it lasts.
    _permit: Permit,
}

/// `OpenedWebSocket` says who is at the other end.
pub enum OpenedWebSocket {
    Guest(Box<WebSocket>),
    /// A mounted server is.
    Mount(Tunnel),
}

/// `Refused` says why there is no WebSocket, and no answer of the guest's.
enum Refused {
    /// The request is refused as others are.
    Request(Refusal),
    InvalidOpening(InvalidOpening),
    BadRequest,
    Full,
    Failed(Failure),
}

impl Requests {
    /// Answers a request that asks for a WebSocket, which is there where the guest has accepted.
    pub async fn open_websocket(
        &self,
        asked: OpeningMethod,
        origin: &Origin,
        mut request: Request<impl http_body::Body>,
        progress: &Rc<ClientProgress>,
    ) -> (Response<Body>, Option<OpenedWebSocket>) {
        let proof = handshake::validate(asked, &request);
        let header_policy = &self.settings.header_policy;
        if header_policy.proxies.trust(origin.peer) {
            handshake::undo_translation(asked, &mut request);
        }
        let mut arrival = self.receive(origin, request.headers_mut());
        if let Some(tracing) = self.settings.tracing {
            arrival.trace(
                tracing,
                header_policy.proxies.trust(origin.peer),
                &mut request,
            );
        }
        let exchange = Exchange::begin(&arrival, &request, &self.slot, self.settings.access_log);
        let asked = RequestContext {
            origin,
            arrival: &arrival,
            exchange: &exchange,
            progress,
        };
        let opened = match proof {
            Ok(proof) => self.open(request, proof, &asked).await,
            Err(unsound) => Err(Refused::InvalidOpening(unsound)),
        };
        let (mut response, socket) =
            opened.unwrap_or_else(|refused| (refused.reply(&exchange, &arrival), None));
        header_policy.send(response.headers_mut(), arrival.id.as_ref());
        exchange.head(&response);
        if socket.is_none() {
            response.body_mut().record(exchange);
        }
        (response, socket)
    }

    /// Has whoever it is for answer.
    async fn open(
        &self,
        request: Request<impl http_body::Body>,
        proof: Option<HeaderValue>,
        asked: &RequestContext<'_>,
    ) -> Result<Answered, Refused> {
        let name = RequestName::of(&request);
        let (mut parts, _) = request.into_parts();
        let root = self.settings.header_policy.root_path.as_ref();
        let target = host::target(&parts, asked.origin, asked.arrival, root);
        let target = target.ok_or(Refused::BadRequest)?;
        if let Some(mounts) = &self.mounts
            && let Some(mount) = mounts
                .find(&target.named, &target.uri)
                .map_err(Refused::Request)?
        {
            parts.uri = target.uri;
            let opened = Box::pin(mounted::open(mount, parts, proof, asked)).await;
            return opened.map_err(Refused::Request);
        }
        self.add_fields_late(&mut parts.headers, asked.arrival);
        let (answer, socket) = self.begin(parts, target.uri, name, asked).await?;
        let (response, socket) = match answer {
            OpeningAnswer::Accepted {
                subprotocol,
                headers,
            } => {
                let socket = OpenedWebSocket::Guest(Box::new(socket));
                (accepted(proof, subprotocol, headers), Some(socket))
            }
            OpeningAnswer::Rejected {
                status,
                headers,
                body,
            } => {
                spawn_local(finish(socket));
                (rejected(status, headers, body), None)
            }
        };
        Ok((response, socket))
    }

    /// Has a guest answer.
    async fn begin(
        &self,
        parts: Parts,
        target: Uri,
        name: Option<RequestName>,
        asked: &RequestContext<'_>,
    ) -> Result<(OpeningAnswer, WebSocket), Refused> {
        let RequestContext {
            origin,
            arrival,
            exchange,
            progress,
        } = asked;
        let who = share::who(arrival.client, &self.settings.header_policy.proxies);
        let WebSockets {
            admission,
            settings,
        } = &self.websockets;
        let Ok(permit) = admission.enter(who, progress).await else {
            self.slot.shed(Shed::Queue, clock::now_ms());
            return Err(Refused::Full);
        };
        progress.uploads(None);
        exchange.enter_guest(None);
        let bounds = Bounds {
            messages: settings.queue,
            received: settings.size,
            sent: SENT,
        };
        let opening = opening(parts, &target, origin, arrival);
        let path = opening.path_with_query.clone();
        let guest = self.guest.as_ref().ok_or(Refused::BadRequest)?;
        let opened = guest.open_websocket(opening, bounds, name);
        let mut session = opened.await.map_err(|failure| self.refused(failure))?;
        let answer = match timeout(self.settings.head, session.answer()).await {
            Ok(answer) => answer.map_err(|failure| self.refused(failure))?,
            Err(_) => return Err(Refused::Failed(Failure::TimedOut)),
        };
        let is_accepted = matches!(answer, OpeningAnswer::Accepted { .. });
        let opened = Opener {
            client: arrival.client,
            target: path,
            id: arrival.id.clone(),
            trace: arrival.trace.clone(),
            is_open: is_accepted,
            is_logged: is_accepted
                && self.settings.access_log
                && log::format(log::Level::Info).is_some(),
        };
        let socket = WebSocket {
            session,
            record: SessionRecord::begin(opened, &self.slot),
            settings: *settings,
            _permit: permit,
        };
        Ok((answer, socket))
    }

    fn refused(&self, failure: Failure) -> Refused {
        match failure {
            Failure::NoRoom => {
                super::waiting::no_memory(&self.slot);
                Refused::Full
            }
            failure => Refused::Failed(failure),
        }
    }
}

/// `Answered` is what came of an opening request: a WebSocket where it was accepted.
type Answered = (Response<Body>, Option<OpenedWebSocket>);

/// A guest may go on for this long where others need the memory that it has.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// Lets a guest come to its end that has no client any more.
pub async fn finish(mut socket: WebSocket) {
    let given_up = socket.session.given_up();
    let hurry = async {
        given_up.await;
        sleep(GIVEN_UP).await;
    };
    let ended = tokio::select! {
        ended = timeout(socket.settings.rest, socket.session.end()) => ended.map_err(|_| ()),
        () = hurry => Err(()),
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => socket.record.failed(&failure),
        Err(_) => socket.record.failed(&Failure::TimedOut),
    }
}

/// Makes the opening request as guests get it.
fn opening(parts: Parts, target: &http::Uri, origin: &Origin, arrival: &Arrival) -> Opening {
    let subprotocols = handshake::subprotocols(&parts.headers);
    let fields = parts.headers.iter();
    let client = arrival.client.address().map(|address| address.to_string());
    Opening {
        headers: fields
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        method: parts.method.as_str().to_owned(),
        path_with_query: target
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        scheme: arrival.scheme.as_str().to_owned(),
        authority: target
            .authority()
            .map_or("", |authority| authority.as_str())
            .to_owned(),
        http_version: match parts.version {
            Version::HTTP_2 => "2".to_owned(),
            _ => "1.1".to_owned(),
        },
        subprotocols,
        client,
        server: origin.server.map(|server| server.to_string()),
    }
}

/// Makes the head that opens a WebSocket: in HTTP/1.1 it proves that the request was understood.
fn accepted(
    proof: Option<HeaderValue>,
    subprotocol: Option<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    if let Some(value) = subprotocol.and_then(|name| HeaderValue::try_from(name).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    if let Some(proof) = proof {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    response
}

/// Makes the response of a guest that has not accepted.
fn rejected(status: u16, headers: HeaderMap, body: Vec<u8>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let is_bodiless = crate::guest::is_bodiless(status);
    let mut response = Response::new(match body.is_empty() || is_bodiless {
        true => Body::empty(),
        false => Body::text(Bytes::from(body)),
    });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Refused {
    fn reply(self, exchange: &Exchange, arrival: &Arrival) -> Response<Body> {
        let (status, why) = match &self {
            Refused::Request(refusal) => (refusal.status(), refusal.why()),
            Refused::InvalidOpening(InvalidOpening::Version) => (
                StatusCode::UPGRADE_REQUIRED,
                Some("it asks for another version of WebSocket"),
            ),
            Refused::InvalidOpening(InvalidOpening::Key) => (
                StatusCode::BAD_REQUEST,
                Some("its Sec-WebSocket-Key is missing or malformed"),
            ),
            Refused::InvalidOpening(InvalidOpening::Body) => (
                StatusCode::BAD_REQUEST,
                Some("it asks for a WebSocket and has a body"),
            ),
            Refused::BadRequest => (
                StatusCode::BAD_REQUEST,
                Some("it does not say clearly what it asks for"),
            ),
            Refused::Full => (StatusCode::SERVICE_UNAVAILABLE, None),
            Refused::Failed(Failure::TimedOut | Failure::OutOfTime) => {
                (StatusCode::GATEWAY_TIMEOUT, None)
            }
            Refused::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        if let Some(why) = why {
            let status = status.as_u16();
            info!("{} - refused a request: {why} ({status})", arrival.client);
        }
        if let Refused::Failed(failure) = &self {
            exchange.failed(failure);
        }
        let mut response = reply::plain(status, exchange.method());
        if status == StatusCode::UPGRADE_REQUIRED {
            let headers = response.headers_mut();
            headers.insert(header::SEC_WEBSOCKET_VERSION, handshake::VERSION);
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        response
    }
}
