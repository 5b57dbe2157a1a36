//! This file serves a connection that speaks HTTP/2, whose streams are answered side by side.

use super::activity::Activity;
use super::request_target::is_for_a_url;
use super::resets::AcceptedStreams;
use super::sending::{self, Stopped};
use super::stream::Stream;
use super::timeouts::{LAST_FRAME, UNREAD_REQUEST};
use super::watchdog::{Manner, Stop, WatchedConnection};
use super::{Busy, ClientConnection, date, targets, websocket};
use crate::info;
use crate::request::websocket::OpeningMethod;
use crate::request::{BodyReading, ClientProgress, Incoming, Streamed, asks_first, length};
use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::Empty;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// This many bytes of requests' bodies may be on their way: of one stream, and of all.
const WINDOW: u32 = 1 << 20;

/// A proxy may send this much for all of its clients, so that no body that nobody reads holds up others.
const ALL_WINDOWS: u32 = 256 << 20;

/// As many clients of a proxy as this may leave before anybody looks at their requests.
const PENDING_RESETS: usize = 4096;

/// This many bytes of a response are gathered while the socket has no room.
const GATHERED: usize = 128 << 10;

/// A client may have us reset this many streams by its own mistakes.
const MISTAKES: usize = 1024;

/// Settings of ours that say nothing, and GOAWAY for a PROTOCOL_ERROR before any stream (RFC 9113 sections 6.5, 6.8).
const NOT_HTTP2: [u8; 26] = [
    0, 0, 0, 4, 0, 0, 0, 0, 0, //
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
];

/// A connection error is all that a client is told that does not speak HTTP/2 where it must (RFC 9113 section 3.4).
pub async fn refuse(client: &ClientConnection, stream: Stream) {
    info!("{} - closed: it does not speak HTTP/2", client.origin.peer);
    let mut transport = stream.into_transport();
    if let Ok(Ok(())) = timeout(LAST_FRAME, transport.write_all(&NOT_HTTP2)).await {
        client.linger(transport, UNREAD_REQUEST).await;
    }
}

pub async fn serve(client: Rc<ClientConnection>, mut stream: Stream) {
    let activity = client.activity.clone();
    let accepted = AcceptedStreams::default();
    stream.follow_frames(&client, accepted.clone());
    let builder = builder(&client);
    let mut serving = Serving {
        state: ServingState::Begins(Box::new(builder.handshake(stream))),
        client: client.clone(),
        accepted,
    };
    let mut watched = WatchedConnection {
        connections: &client.connections,
        activity: &activity,
        manner: Manner::Http2 { told: None },
    };
    loop {
        match watched.run(Pin::new(&mut serving)).await {
            Ok(()) => return,
            // The first time to go, the client is told (GOAWAY); what it has sent until it knows is answered.
            Err(Stop::Close) if !watched.has_told() => {
                serving.shut_down();
                watched.manner = Manner::Http2 {
                    told: Some(Instant::now()),
                };
            }
            Err(Stop::Refuse(refusal)) => {
                let peer = client.origin.peer;
                info!("{peer} - closed: refused a request: {}", refusal.why);
                return serving.abort(Reason::ENHANCE_YOUR_CALM).await;
            }
            Err(Stop::Abused) => {
                let peer = client.origin.peer;
                info!("{peer} - closed: too many HTTP/2 frames that serve no request");
                return serving.abort(Reason::ENHANCE_YOUR_CALM).await;
            }
            // What has not come whole may be asked for again elsewhere.
            Err(Stop::Evicted) => return serving.abort(Reason::NO_ERROR).await,
            Err(Stop::Close | Stop::Stalled | Stop::Left) => return,
        }
    }
}

/// Says how a client may use its connection.
fn builder(client: &ClientConnection) -> Builder {
    let settings = &client.connections.settings;
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(settings.streams)
        .max_local_error_reset_streams(Some(MISTAKES))
        .max_header_list_size(u32::try_from(client.longest_head()).unwrap_or(u32::MAX))
        .max_send_buffer_size(GATHERED);
    if client.speaks_for_many() {
        let all = WINDOW.saturating_mul(settings.streams);
        builder
            .initial_connection_window_size(all.min(ALL_WINDOWS))
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(None);
    }
    if client.connections.requests.takes_websockets() {
        builder.enable_connect_protocol();
    }
    builder
}

/// Takes requests from a connection.
struct Serving {
    state: ServingState,
    client: Rc<ClientConnection>,
    accepted: AcceptedStreams,
}

enum ServingState {
    Begins(Box<Handshake<Stream, Bytes>>),
    Open(Box<Connection<Stream, Bytes>>),
}

impl Serving {
    /// Tells the client that no further requests are answered.
    fn shut_down(&mut self) {
        if let ServingState::Open(connection) = &mut self.state {
            connection.graceful_shutdown();
        }
    }

    /// Ends the connection, and tells the client why.
    async fn abort(mut self, reason: Reason) {
        if let ServingState::Open(connection) = &mut self.state {
            connection.abrupt_shutdown(reason);
        }
        let _ = timeout(LAST_FRAME, self).await;
    }
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Serving {
            state,
            client,
            accepted,
        } = &mut *self;
        loop {
            match state {
                ServingState::Begins(handshake) => match ready!(Pin::new(handshake).poll(cx)) {
                    Ok(connection) => *state = ServingState::Open(Box::new(connection)),
                    Err(_) => return Poll::Ready(()),
                },
                ServingState::Open(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(Ok((mut request, mut respond))) => {
                        let stream = respond.stream_id().as_u32();
                        accepted.add(stream);
                        // Whoever sees this leave answers first, with a 400.
                        if !client.activity.admits(stream, request.uri_mut()) {
                            respond.send_reset(Reason::PROTOCOL_ERROR);
                            continue;
                        }
                        if client.moves_on() {
                            connection.graceful_shutdown();
                        }
                        // From here on, so that the end of what the client sends does not come before.
                        let busy = Busy::begin(&client.activity);
                        spawn_local(run(client.clone(), busy, request, respond));
                    }
                    Some(Err(error)) => {
                        // A client that has gone without a word is no news.
                        if !error.is_io() {
                            info!("{} - closed: {error}", client.origin.peer);
                        }
                        return Poll::Ready(());
                    }
                    None => return Poll::Ready(()),
                },
            }
        }
    }
}

/// Runs one stream, but no longer than its client takes what it is given.
async fn run(
    client: Rc<ClientConnection>,
    busy: Busy,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let progress = client.activity.progress().of_stream();
    if let Some(asked) = client.asks_for_websocket(&request) {
        return open_websocket(client, busy, asked, request, respond).await;
    }
    let asks = asks_first(request.headers()) && !request.body().is_end_stream();
    let is_from_proxy = client.speaks_for_many();
    let reading = match is_from_proxy {
        true => BodyReading::new(asks).refusing(),
        false => BodyReading::new(asks),
    };
    let reading = Arc::new(reading);
    let announces_length = request.headers().contains_key(header::CONTENT_LENGTH);
    let request = with_body(request, &reading);
    let answer = client.answer(request, &progress);
    let Some(response) = answered(answer, &progress, &reading, &mut respond).await else {
        return;
    };
    reading.answer();
    busy.answered();
    client.activity.earn(FRAMES_PER_REQUEST);
    let (mut parts, body) = response.into_parts();
    let length = body.size_hint().exact();
    let is_empty = body.is_end_stream();
    // Some clients stop to look at the connection once they have this many bytes, and send no more of a request that
    // is being read (curl 7.88).
    let is_read = poll_fn(|cx| Poll::Ready(reading.is_over(cx))).await;
    // Who waits to be asked and is answered instead sends none, and looks at how long the answer is.
    let keeps_length = is_read || is_from_proxy || reading.is_unasked();
    if !keeps_length && !is_empty {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    complete(
        &mut parts.headers,
        length.filter(|_| keeps_length && !is_empty),
    );
    date::tell(&client.connections.settings, &mut parts.headers);
    let head = Response::from_parts(parts, ());
    let _early = (!is_read && announces_length).then(|| {
        let stream = respond.stream_id().as_u32();
        EarlyAnswer::begin(&client.activity, stream, &reading)
    });
    // A client that has all of the answer may send no more of a request that is being read.
    let ends = is_empty && is_read;
    let Ok(sender) = respond.send_response(head, ends) else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return;
    };
    if !ends {
        let sent = sending::send(&client, &progress, &reading, body, sender).await;
        reset_unfinished(sent, &mut respond);
    }
}

/// Tells the client of a stream whose answer was not sent to its end.
fn reset_unfinished(sent: Result<(), Stopped>, respond: &mut SendResponse<Bytes>) {
    match sent {
        Ok(()) | Err(Stopped::Gone) => {}
        Err(Stopped::Unfinished) => respond.send_reset(Reason::INTERNAL_ERROR),
        Err(Stopped::Stalled) => respond.send_reset(Reason::CANCEL),
    }
}

/// An `EarlyAnswer` began before all of its request had come. A client that stops sending at an error (curl) may end
/// such a stream short of the length that it announced: the rest of the answer would be lost over that.
struct EarlyAnswer {
    activity: Rc<Activity>,
    stream: u32,
}

impl EarlyAnswer {
    fn begin(activity: &Rc<Activity>, stream: u32, reading: &Arc<BodyReading>) -> EarlyAnswer {
        activity.answers_early(stream, Some(reading));
        EarlyAnswer {
            activity: activity.clone(),
            stream,
        }
    }
}

impl Drop for EarlyAnswer {
    fn drop(&mut self) {
        self.activity.answers_early(self.stream, None);
    }
}

/// Runs one stream that is to become a WebSocket.
async fn open_websocket(
    client: Rc<ClientConnection>,
    busy: Busy,
    asked: OpeningMethod,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let progress = client.activity.progress().of_stream();
    let (parts, receiver) = request.into_parts();
    let request = Request::from_parts(parts, Empty::<Bytes>::new());
    let requests = &client.connections.requests;
    let answer = requests.open_websocket(asked, &client.origin, request, &progress);
    let nothing = BodyReading::of_nothing();
    let Some((response, socket)) = answered(answer, &progress, &nothing, &mut respond).await else {
        return;
    };
    busy.answered();
    client.activity.earn(FRAMES_PER_REQUEST);
    let (mut parts, body) = response.into_parts();
    let length = body.size_hint().exact().filter(|_| socket.is_none());
    complete(&mut parts.headers, length);
    date::tell(&client.connections.settings, &mut parts.headers);
    let head = Response::from_parts(parts, ());
    let Ok(sender) = respond.send_response(head, false) else {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    };
    if let Some(socket) = socket {
        return websocket::serve_stream(&client, &progress, (receiver, sender), socket).await;
    }
    let sent = sending::send(&client, &progress, &nothing, body, sender).await;
    reset_unfinished(sent, &mut respond);
}

/// A request gives its client reason for this many frames that bring nothing.
const FRAMES_PER_REQUEST: u64 = 20;

/// Makes the request, with its body as it comes.
fn with_body(request: Request<RecvStream>, reading: &Arc<BodyReading>) -> Request<Incoming> {
    let (mut parts, stream) = request.into_parts();
    encode(&mut parts.uri);
    let length = length::declared(&parts.headers).ok().flatten();
    let body = Streamed::new(stream, length, reading.clone());
    Request::from_parts(parts, Incoming::Http2(body))
}

/// Percent-encodes in a target what no URL has, as in HTTP/1.
fn encode(target: &mut Uri) {
    let Some(path) = target.path_and_query() else {
        return;
    };
    if path.as_str().bytes().all(is_for_a_url) {
        return;
    }
    let encoded = targets::encoded(path.as_str().as_bytes());
    let mut parts = std::mem::take(target).into_parts();
    parts.path_and_query = encoded.parse().ok();
    *target = Uri::from_parts(parts).unwrap_or_default();
}

/// Resolves to the response; to none where the client resets the stream before there is one.
async fn answered<T>(
    answer: impl Future<Output = T>,
    progress: &ClientProgress,
    reading: &BodyReading,
    respond: &mut SendResponse<Bytes>,
) -> Option<T> {
    let mut answer = pin!(answer);
    let mut told = false;
    poll_fn(|cx| {
        progress.register(cx);
        if let Poll::Ready(response) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        if !told && reading.is_asked(cx) {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            let _ = respond.send_informational(go_on);
            told = true;
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await
}

/// Makes a head one of HTTP/2: it says how long the body is where that is known, and nothing of connections
/// (RFC 9113 section 8.2.2).
fn complete(headers: &mut HeaderMap, length: Option<u64>) {
    const OF_CONNECTIONS: [HeaderName; 5] = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in OF_CONNECTIONS {
        headers.remove(name);
    }
    if let Some(length) = length {
        let entry = headers.entry(header::CONTENT_LENGTH);
        entry.or_insert_with(|| length.into());
    }
}
