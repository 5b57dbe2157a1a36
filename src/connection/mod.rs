//! One client's connection: how it speaks, its time-outs, and its end when the worker leaves. Knows
//! requests only as something to be answered.

mod activity;
mod certificates;
mod chunks;
mod departure;
mod framing;
mod greeting;
mod head;
mod http1;
mod http2;
mod outbox;
mod patience;
mod proxy;
mod refusal;
mod settings;
mod socket;
mod stream;
mod tls;
mod transport;
mod watch;

pub use certificates::Certificates;
pub use departure::Departure;
pub use outbox::Outbox;
pub use settings::{Door, Limits, Protocols, Settings};
pub use socket::Accepted;

use crate::info;
use crate::request::{Body, Origin, Peer, Requests, Witness};
use activity::{Activity, Pace};
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use refusal::Refusal;
use rustls::ServerConfig;
use socket::Socket;
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Stream;
use tls::Handshake;
use tokio::io::{AsyncRead, AsyncWrite};
use transport::Transport;
use watch::{Manner, Stop, Watched};

/// How long the last answer may take to leave when its connection is closed.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// What all connections of one worker share.
pub struct Connections {
    pub requests: Rc<Requests>,
    pub settings: Settings,
    /// What TLS is spoken with, where it is.
    pub tls: Option<Arc<ServerConfig>>,
    pub departure: Departure,
    /// Of those who speak HTTP/1.1. HTTP/2 puts together what it writes.
    pub outbox: Rc<Outbox>,
}

impl Connections {
    /// Serves one connection to its end.
    pub async fn serve(self: Rc<Self>, accepted: Accepted, peer: Peer, door: Door) {
        let mut socket = Socket::new(accepted);
        let Some(introduction) = proxy::introduced(&self, &mut socket, peer).await else {
            return;
        };
        let activity = Rc::new(Activity::new(Instant::now()));
        let client = Client {
            activity: activity.clone(),
            origin: Origin {
                peer: introduction.peer,
                server: socket.server(),
                scheme: match introduction.secure {
                    true => Scheme::HTTPS,
                    false => door.scheme(),
                },
            },
            door,
            connections: self,
        };
        let client = Rc::new(client);
        let tls = client.connections.tls.clone().filter(|_| door == Door::Tls);
        let (transport, chosen) = match tls {
            None => (Transport::Plain(socket), None),
            Some(tls) => match client.secure(tls, socket).await {
                Some(secured) => secured,
                None => return,
            },
        };
        let mut stream = Stream::new(transport, activity);
        match client.speaks_http2(&mut stream, chosen).await {
            Ok(true) => http2::serve(client, stream).await,
            Ok(false) => http1::serve(client, stream).await,
            Err(Stop::Refuse(refusal)) => client.refuse(stream.into_transport(), refusal).await,
            Err(_) => {}
        }
    }
}

/// The client of one connection.
struct Client {
    connections: Rc<Connections>,
    activity: Rc<Activity>,
    origin: Origin,
    door: Door,
}

impl Client {
    /// Makes the connection secure; also which protocol the client chose (RFC 7301).
    async fn secure(
        &self,
        tls: Arc<ServerConfig>,
        socket: Socket,
    ) -> Option<(Transport, Option<bool>)> {
        let limit = self.connections.settings.handshake;
        let handshake = pin!(tls::shake_hands(tls, socket, limit));
        match self.watch(handshake).await.ok()? {
            Handshake::Done { transport, http2 } => Some((transport, http2)),
            Handshake::Plain { socket, refusal } => {
                self.refuse(socket, refusal).await;
                None
            }
            Handshake::Failed => None,
        }
    }

    /// Whether this is to be HTTP/2.
    async fn speaks_http2(&self, stream: &mut Stream, chosen: Option<bool>) -> Result<bool, Stop> {
        match (self.connections.settings.protocols, chosen) {
            (Protocols::Http1, _) => Ok(false),
            (Protocols::Http2, _) => Ok(true),
            (Protocols::Both, Some(chosen)) => Ok(chosen),
            (Protocols::Both, None) => {
                let first = pin!(stream.speaks_http2());
                self.watch(first).await?.map_err(|_| Stop::Close)
            }
        }
    }

    /// Waits for what comes before the first request.
    async fn watch<F: Future>(&self, first: Pin<&mut F>) -> Result<F::Output, Stop> {
        let watched = Watched {
            connections: &self.connections,
            activity: &self.activity,
            pace: &Pace::default(),
            manner: Manner::Http1,
        };
        watched.run(first).await
    }

    /// Tells the client, and the log, why nothing more is read.
    async fn refuse(&self, transport: impl AsyncRead + AsyncWrite + Unpin, refusal: Refusal) {
        info!(
            "{} - refused a request: {} ({})",
            self.origin.peer,
            refusal.why,
            refusal.status.as_u16()
        );
        http1::refuse(transport, refusal, &self.connections.settings).await;
    }

    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let busy = Busy::begin(&self.activity);
        let version = request.version();
        self.activity.speaks(version);
        let requests = &self.connections.requests;
        let redirect = match self.door {
            Door::Redirect { port } => Some(port),
            Door::Plain | Door::Tls => None,
        };
        let mut response = requests.answer(&self.origin, request, redirect).await;
        busy.answered.set(true);
        response.body_mut().attach(Box::new(busy));
        if version <= Version::HTTP_11 && self.connections.departure.begun().is_some() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }
}

/// Marks the connection busy until the response, or its lack, is over.
struct Busy {
    activity: Rc<Activity>,
    pace: Rc<Pace>,
    answered: Cell<bool>,
}

impl Busy {
    fn begin(activity: &Rc<Activity>) -> Busy {
        activity.request_began();
        Busy {
            activity: activity.clone(),
            pace: activity.pace(),
            answered: Cell::new(false),
        }
    }
}

impl Witness for Busy {
    fn asked(&self) {
        self.pace.asked();
    }

    fn handed_on(&self) {
        self.pace.handed_on();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.pace.asked();
        if !self.answered.get() {
            self.activity.request_cancelled();
        }
        self.activity.request_ended();
    }
}
