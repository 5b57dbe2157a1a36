//! One client's connection: how it speaks, its time-outs, and its end when the worker leaves. Knows
//! requests only as something to be answered.

mod activity;
mod departure;
mod http1;
mod patience;
mod proxy;
mod refusal;
mod settings;
mod socket;
mod stream;
mod watch;

pub use departure::Departure;
pub use settings::{Door, Settings};
pub use socket::Socket;

use crate::request::{Body, Origin, Peer, Requests, Witness};
use activity::{Activity, Pace};
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::Stream;

/// How long the last answer may take to leave when its connection is closed.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// What all connections of one worker share.
pub struct Connections {
    pub requests: Rc<Requests>,
    pub settings: Settings,
    pub departure: Departure,
}

impl Connections {
    /// Serves one connection to its end.
    pub async fn serve(self: Rc<Self>, mut socket: Socket, peer: Peer, door: Door) {
        socket.send_at_once();
        let Some(peer) = proxy::introduced(&self, &mut socket, peer).await else {
            return;
        };
        let activity = Rc::new(Activity::new(Instant::now()));
        let client = Client {
            activity: activity.clone(),
            origin: Origin {
                peer,
                server: socket.server(),
                scheme: door.scheme(),
            },
            connections: self,
        };
        http1::serve(Rc::new(client), Stream::new(socket, activity)).await;
    }
}

/// The client of one connection.
struct Client {
    connections: Rc<Connections>,
    activity: Rc<Activity>,
    origin: Origin,
}

impl Client {
    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let busy = Busy::begin(&self.activity);
        let version = request.version();
        self.activity.speaks(version);
        let requests = &self.connections.requests;
        let mut response = requests.answer(&self.origin, request).await;
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
}

impl Busy {
    fn begin(activity: &Rc<Activity>) -> Busy {
        activity.request_began();
        Busy {
            activity: activity.clone(),
            pace: activity.pace(),
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
        self.activity.request_ended();
    }
}
