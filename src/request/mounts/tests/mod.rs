//! These tests forward requests to a real server of HTTP/2, which listens on a Unix socket without a name as mounted
//! servers do.

mod endings;
mod exchanges;
mod replacements;
mod tunnels;

use super::upload::Body as RequestBody;
use super::*;
use crate::guest::BodyError;
use crate::request::client::Client;
use crate::request::header_policy::Arrival;
use crate::request::{ClientProgress, Origin, Peer};
use crate::scoreboard::Scoreboard;
use http::uri::Scheme;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// No test takes longer than this.
const LONG: Duration = Duration::from_secs(30);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default());
    let future = async { timeout(LONG, future).await.expect("it takes too long") };
    runtime.unwrap().block_on(future)
}

/// Makes a listener without a name, and what one connects to it by.
fn listener() -> (OwnedFd, UnixListener) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = StdUnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let socket = options.read(true).custom_flags(libc::O_PATH).open(&path);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    (socket.unwrap().into(), listener)
}

fn mount(socket: OwnedFd) -> Mount {
    let scoreboard = Rc::new(Scoreboard::new(1).unwrap());
    Mount {
        server: Server::new("/api".to_owned(), socket),
        admission: Admission::new(1000, 0, LONG),
        websockets: Admission::lasting(100),
        idle: LONG,
        proxies: Proxies::default(),
        slot: SlotRef::new(scoreboard, 0),
    }
}

/// Serves all connections by a function, with hyper.
fn serve<F>(
    listener: UnixListener,
    answer: impl Fn(Request<hyper::body::Incoming>) -> F + Clone + 'static,
) where
    F: Future<Output = Response<RequestBody>> + 'static,
{
    spawn_local(async move {
        while let Ok((transport, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = hyper::service::service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
            builder.enable_connect_protocol();
            let transport = hyper_util::rt::TokioIo::new(transport);
            spawn_local(builder.serve_connection(transport, service));
        }
    });
}

#[derive(Clone)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(bytes: impl Into<Bytes>) -> RequestBody {
    let full = Full::new(bytes.into());
    full.map_err(|never| match never {}).boxed_unsync()
}

type Frames = mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>;

/// Makes a body whose frames come from elsewhere.
fn streamed() -> (Frames, RequestBody) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, StreamBody::new(frames).boxed_unsync())
}

fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(bytes.into()))
}

fn request(method: &str, body: RequestBody) -> Request<RequestBody> {
    let request = Request::builder().method(method);
    let request = request.uri("https://example.com/api/x?y=z");
    request.body(body).unwrap()
}

fn arrived() -> (Arrival, Origin) {
    let peer = Peer::Inet("192.0.2.1:4711".parse().unwrap());
    let arrival = Arrival {
        client: Client::Peer(peer),
        scheme: Scheme::HTTPS,
        authority: None,
        id: None,
        trace: None,
        peer,
    };
    let origin = Origin {
        peer,
        server: None,
        scheme: Scheme::HTTPS,
    };
    (arrival, origin)
}

/// Forwards a request as the connection of a client does.
async fn forward(mount: &Mount, request: Request<RequestBody>) -> Result<Response<Body>, Refusal> {
    let (arrival, origin) = arrived();
    let asked = RequestContext {
        origin: &origin,
        arrival: &arrival,
        exchange: &Exchange::begin(&arrival, &request, &mount.slot, false),
        progress: &ClientProgress::new(0, &Rc::default()),
    };
    mount.forward(Box::new(request), &asked).await
}

async fn get(mount: &Mount) -> Result<Response<Body>, Refusal> {
    forward(mount, request("GET", empty())).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Says when something is dropped.
struct Watched(mpsc::UnboundedSender<()>);

impl Watched {
    fn new() -> (Watched, mpsc::UnboundedReceiver<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Watched(sender), receiver)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Has one connection be served by hand.
async fn by_hand(listener: &UnixListener) -> h2::server::Connection<UnixStream, Bytes> {
    let (transport, _) = listener.accept().await.unwrap();
    h2::server::handshake(transport).await.unwrap()
}
