//! This room serves one client's connection: how it speaks, its time-outs, and its end when the worker leaves. It
//! knows requests only as something to be answered.

mod activity;
mod certificates;
mod chunks;
mod codings;
mod date;
mod edits;
mod eviction;
mod field_blocks;
mod field_names;
mod frames;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod head;
mod head_end;
mod http1;
mod http2;
mod huffman;
mod list;
mod malformed_streams;
mod proxy;
mod refusal;
mod request_target;
mod resets;
mod sending;
mod settings;
mod shutdown;
mod socket;
mod state;
mod stream;
mod targets;
mod timeouts;
mod tls;
mod tls_sniffer;
mod transport;
mod unsent;
mod watchdog;
mod websocket;
mod write_batcher;

pub use certificates::Certificates;
pub use head::asked as read_request_line;
pub use list::ConnectionList;
pub use settings::{HeadLimits, ListenerKind, Protocols, Settings};
pub use shutdown::WorkerShutdown;
pub use socket::Accepted;
pub use unsent::Unsent;
pub use write_batcher::WriteBatcher;

use crate::info;
use crate::request::websocket::{OpeningMethod, asked};
use crate::request::{Body, ClientProgress, Incoming, Origin, Peer, Requests};
use crate::scoreboard::Protocol;
use activity::Activity;
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Version};
use refusal::HeadRefusal;
use rustls::ServerConfig;
use socket::Socket;
use state::ConnectionPhase;
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Stream;
use timeouts::Lingering;
use tls::{Chosen, Handshake};
use tokio::io::{AsyncRead, AsyncWrite};
use transport::Transport;
use watchdog::{Manner, Stop, WatchedConnection};

/// `Connections` has what all connections of one worker share.
pub struct Connections {
    pub requests: Rc<Requests>,
    pub settings: Settings,
    /// TLS is spoken with this, where it is.
    pub tls: Option<Arc<ServerConfig>>,
    pub shutdown: WorkerShutdown,
    /// The answers of connections that speak HTTP/1.1 leave by this. HTTP/2 puts together what it writes itself.
    pub write_batcher: Rc<WriteBatcher>,
    pub list: ConnectionList,
    /// Answers are counted there that their clients do not take.
    pub unsent: Rc<Unsent>,
}

impl Connections {
    /// Serves one connection to its end.
    pub async fn serve(self: Rc<Self>, accepted: Accepted, peer: Peer, kind: ListenerKind) {
        let mut socket = Socket::new(accepted);
        let activity = Rc::new(Activity::new(Instant::now(), self.settings.rate));
        activity.probe_with(socket.probe());
        let listed = self.list.add(&activity);
        let introduced = tokio::select! {
            introduced = proxy::introduced(&self, &mut socket, peer) => introduced,
            () = activity.evicted() => None,
        };
        let Some(proxy_header) = introduced else {
            return;
        };
        listed.belongs_to(self.requests.client_key(proxy_header.peer));
        let client = ClientConnection {
            activity: activity.clone(),
            origin: Origin {
                peer: proxy_header.peer,
                server: socket.server(),
                scheme: match proxy_header.secure {
                    true => Scheme::HTTPS,
                    false => kind.scheme(),
                },
            },
            kind,
            connections: self.clone(),
        };
        let client = Rc::new(client);
        let tls = client
            .connections
            .tls
            .clone()
            .filter(|_| kind == ListenerKind::Tls);
        let (transport, chosen) = match tls {
            None => (Transport::Plain(socket), Chosen::None),
            Some(tls) => match client.secure(tls, socket).await {
                Some(secured) => secured,
                None => return,
            },
        };
        let mut stream = Stream::new(transport, activity);
        let slot = self.requests.slot();
        match client.speaks_http2(&mut stream, chosen).await {
            Ok(DetectedProtocol::Http2) => {
                slot.speaks(Protocol::Http2);
                http2::serve(client, stream).await;
            }
            Ok(DetectedProtocol::Http1) => {
                slot.speaks(Protocol::Http1);
                http1::serve(client, stream).await;
            }
            Ok(DetectedProtocol::Neither) => http2::refuse(&client, stream).await,
            Err(Stop::Refuse(refusal)) => {
                client.refuse(stream.into_transport(), refusal, None).await;
            }
            Err(_) => {}
        }
    }
}

/// While two versions are compared, a client that stays has this many connections one after the other, each of which
/// lasts no less and no longer than this.
const STAYS: u32 = 20;
const SHORTEST_STAY: Duration = Duration::from_millis(250);
const LONGEST_STAY: Duration = Duration::from_secs(3);

/// A proxy may add this many bytes to a head, and as many again as that had.
const ADDED: usize = 4 << 10;

/// A `ClientConnection` is one client's, with what is known of it before a request.
struct ClientConnection {
    connections: Rc<Connections>,
    activity: Rc<Activity>,
    origin: Origin,
    kind: ListenerKind,
}

impl ClientConnection {
    /// Makes the connection secure, and says which protocol the client has chosen.
    async fn secure(&self, tls: Arc<ServerConfig>, socket: Socket) -> Option<(Transport, Chosen)> {
        let limit = self.connections.settings.handshake;
        let handshake = pin!(tls::shake_hands(tls, socket, limit));
        let shaken = self.watch(handshake).await;
        let slot = self.connections.requests.slot();
        slot.shook_hands(matches!(shaken, Ok(Handshake::Done { .. })));
        match shaken.ok()? {
            Handshake::Done { transport, chosen } => Some((transport, chosen)),
            Handshake::Plain { socket, refusal } => {
                self.refuse(socket, refusal, None).await;
                None
            }
            Handshake::Failed(why) => {
                info!("{} - closed: no TLS: {why}", self.origin.peer);
                None
            }
            Handshake::Left => None,
        }
    }

    /// Finds out which version of HTTP this is to be.
    async fn speaks_http2(
        &self,
        stream: &mut Stream,
        chosen: Chosen,
    ) -> Result<DetectedProtocol, Stop> {
        let must = match (self.connections.settings.protocols, chosen) {
            (Protocols::Http1, _) | (Protocols::Both, Chosen::Http1) => {
                return Ok(DetectedProtocol::Http1);
            }
            (Protocols::Http2, _) | (Protocols::Both, Chosen::Http2) => true,
            (Protocols::Both, Chosen::None) => false,
        };
        let first = pin!(stream.speaks_http2());
        match self.watch(first).await {
            Ok(Ok(true)) => Ok(DetectedProtocol::Http2),
            Ok(Ok(false)) if must => Ok(DetectedProtocol::Neither),
            Ok(Ok(false)) => Ok(DetectedProtocol::Http1),
            Ok(Err(_)) => Err(Stop::Close),
            // What it would be told is HTTP/1.
            Err(Stop::Refuse(_)) if must => Err(Stop::Close),
            Err(stop) => Err(stop),
        }
    }

    /// Waits for what comes before the first request.
    async fn watch<F: Future>(&self, first: Pin<&mut F>) -> Result<F::Output, Stop> {
        let watched = WatchedConnection {
            connections: &self.connections,
            activity: &self.activity,
            manner: Manner::Http1,
        };
        watched.run(first).await
    }

    /// Tells the client, and the log, why nothing more is read.
    async fn refuse(
        &self,
        transport: impl AsyncRead + AsyncWrite + Unpin,
        refusal: HeadRefusal,
        asked: Option<Request<()>>,
    ) {
        let (peer, status) = (self.origin.peer, refusal.status.as_u16());
        info!("{peer} - refused a request: {} ({status})", refusal.why);
        self.record_refused(asked, refusal.status, refusal.length());
        tokio::select! {
            () = http1::refuse(transport, refusal, &self.connections.settings) => {}
            () = self.activity.evicted() => {}
        }
    }

    /// Tells the log that somebody else has refused what came, and has answered.
    fn note_refused(&self, why: &hyper::Error) {
        info!("{} - refused a request: {why}", self.origin.peer);
        let status = match why.is_parse_too_large() {
            true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        };
        self.record_refused(None, status, 0);
    }

    /// Tells the log that a stream of HTTP/2 was answered without a request.
    fn note_unread(&self, refusal: HeadRefusal) {
        let (peer, status) = (self.origin.peer, refusal.status.as_u16());
        info!("{peer} - refused a request: {} ({status})", refusal.why);
        let mut unread = Requests::unread();
        *unread.version_mut() = Version::HTTP_2;
        self.record_refused(Some(unread), refusal.status, 0);
    }

    fn record_refused(&self, asked: Option<Request<()>>, status: StatusCode, sent: u64) {
        let since = match self.activity.phase() {
            ConnectionPhase::Head { since } => since,
            ConnectionPhase::Idle { .. } | ConnectionPhase::Busy { .. } | ConnectionPhase::Rest => {
                Instant::now()
            }
        };
        let requests = &self.connections.requests;
        requests.record_refused(&self.origin, asked, since, status, sent);
    }

    /// Lets a client that may still be sending read what it was told, but holds nobody up who leaves or comes.
    async fn linger(&self, transport: impl AsyncRead + AsyncWrite + Unpin, lingering: Lingering) {
        tokio::select! {
            () = http1::linger(transport, lingering) => {}
            () = self.activity.evicted() => {}
            () = self.connections.shutdown.ends_idling() => {}
        }
    }

    /// Says whether this is a proxy's on this machine, which has many clients.
    fn speaks_for_many(&self) -> bool {
        self.connections.requests.speaks_for_many(self.origin.peer)
    }

    /// Returns how many bytes the head of a request may have. A proxy adds to what it has judged.
    fn longest_head(&self) -> usize {
        let longest = self.connections.settings.head.head;
        match self.speaks_for_many() {
            true => longest.saturating_mul(2).saturating_add(ADDED),
            false => longest,
        }
    }

    /// Says whether the client is to come again over another connection. While two versions are compared, each is to
    /// get its share of the requests of those who stay, too.
    fn moves_on(&self) -> bool {
        let canary = self.connections.requests.slot().canary_time();
        canary.is_some_and(|time| {
            let stay = (time / STAYS).clamp(SHORTEST_STAY, LONGEST_STAY);
            self.activity.age() >= stay
        })
    }

    /// Finds how a request asks for a WebSocket, where it is to get one.
    fn asks_for_websocket<B>(&self, request: &Request<B>) -> Option<OpeningMethod> {
        let redirects = matches!(self.kind, ListenerKind::Redirect { .. });
        let requests = &self.connections.requests;
        asked(request).filter(|_| !redirects && requests.takes_websocket(&self.origin, request))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        progress: &Rc<ClientProgress>,
    ) -> Response<Body> {
        let redirect = match self.kind {
            ListenerKind::Redirect { port } => Some(port),
            ListenerKind::Plain | ListenerKind::Tls => None,
        };
        let requests = &self.connections.requests;
        requests
            .answer(&self.origin, request, redirect, progress)
            .await
    }
}

/// `DetectedProtocol` says what a client speaks.
enum DetectedProtocol {
    Http1,
    Http2,
    /// The client does not speak what it must.
    Neither,
}

/// Marks the connection busy until the response, or its lack, is over.
struct Busy {
    activity: Rc<Activity>,
    answered: Cell<bool>,
}

impl Busy {
    fn begin(activity: &Rc<Activity>) -> Busy {
        activity.request_began();
        Busy {
            activity: activity.clone(),
            answered: Cell::new(false),
        }
    }

    fn answered(&self) {
        self.answered.set(true);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !self.answered.get() {
            self.activity.request_cancelled();
        }
        self.activity.request_ended();
    }
}
