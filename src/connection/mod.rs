//! One client's connection: HTTP/1.1, its time-outs, and its end when the worker leaves. Knows requests
//! only as something to be answered.

mod activity;
mod departure;
mod stream;

pub use activity::Settings;
pub use departure::Departure;

use crate::request::{Body, Origin, Requests};
use activity::{Activity, Verdict, judge};
use http::{HeaderValue, Request, Response, Version, header, uri::Scheme};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::Stream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

/// How long the last answer may take to leave when its connection is closed.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// What all connections of one worker share.
pub struct Connections {
    pub requests: Rc<Requests>,
    pub settings: Settings,
    pub departure: Departure,
}

/// The whole answer to a head that did not arrive in time.
const HEADER_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

impl Connections {
    /// Serves one connection to its end.
    pub async fn serve(self: Rc<Self>, socket: TcpStream, client: SocketAddr) {
        let Ok(server) = socket.local_addr() else {
            return;
        };
        // Answers leave at once; a response is written whole.
        let _ = socket.set_nodelay(true);
        let activity = Rc::new(Activity::new(Instant::now()));
        let origin = Origin {
            client,
            server,
            scheme: Scheme::HTTP,
        };
        let service = service_fn(|request| self.answer(&activity, &origin, request));
        let stream = Stream::new(socket, activity.clone());
        let mut builder = http1::Builder::new();
        builder.half_close(false);
        let mut connection = builder.serve_connection(stream, service);
        match self.watch(Pin::new(&mut connection), &activity).await {
            Ended::Properly => {}
            Ended::HeaderTimeout => {
                let mut socket = connection.into_parts().io.into_socket();
                let _ = socket.write_all(HEADER_TIMEOUT).await;
                let _ = socket.shutdown().await;
            }
            Ended::InABody if activity.is_http_1_0() => {
                // Its body ends where the connection does, unless that is reset (RFC 9112 section 8).
                let _ = connection.into_parts().io.into_socket().set_zero_linger();
            }
            Ended::InABody => {}
        }
    }

    /// Runs the connection until it ends, or is to be ended.
    async fn watch<S>(
        &self,
        mut connection: Pin<&mut http1::Connection<Stream, S>>,
        activity: &Activity,
    ) -> Ended
    where
        S: hyper::service::HttpService<Incoming, ResBody = Body>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut leaving = self.departure.begun();
        loop {
            let now = Instant::now();
            let until = match judge(activity.phase(), &self.settings, leaving, now) {
                Verdict::Wait { until } => until,
                Verdict::HeaderTimeout => return Ended::HeaderTimeout,
                Verdict::Close => {
                    if activity.has_answered() {
                        connection.as_mut().graceful_shutdown();
                        let _ = timeout(LAST_BYTES, connection.as_mut()).await;
                    }
                    return Ended::Properly;
                }
            };
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    let in_a_body = result.is_err_and(|error| error.is_user());
                    return if in_a_body { Ended::InABody } else { Ended::Properly };
                }
                () = sleep_until(until.into()) => {}
                () = activity.rests(), if leaving.is_some() => {}
                () = self.departure.wait(), if leaving.is_none() => {
                    leaving = self.departure.begun();
                }
            }
        }
    }

    async fn answer(
        &self,
        activity: &Rc<Activity>,
        origin: &Origin,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let busy = Busy::begin(activity);
        let version = request.version();
        activity.speaks(version);
        let mut response = self.requests.answer(origin, request).await;
        response.body_mut().attach(Box::new(busy));
        if version <= Version::HTTP_11 && self.departure.begun().is_some() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }
}

/// How a connection came to its end.
enum Ended {
    Properly,
    /// A head did not arrive in time, and its sender is still to be told.
    HeaderTimeout,
    /// A response body could not be finished.
    InABody,
}

/// Marks the connection busy until the response, or its lack, is over.
struct Busy(Rc<Activity>);

impl Busy {
    fn begin(activity: &Rc<Activity>) -> Busy {
        activity.request_began();
        Busy(activity.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
