//! This file serves a connection that speaks HTTP/1.1.

use super::refusal::HeadRefusal;
use super::settings::Settings;
use super::stream::Stream;
use super::timeouts::{LAST_BYTES, Lingering, UNREAD_REQUEST};
use super::watchdog::{Manner, Stop, WatchedConnection};
use super::{Busy, ClientConnection, date, websocket};
use crate::request::websocket::OpenedWebSocket;
use crate::request::{AnnouncedBodies, Body, Incoming, asks_first};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The parser has room for this many header fields unless it is told otherwise.
const DEFAULT_FIELDS: usize = 100;

/// The parser reads no more than this ahead.
const BUFFER: usize = 128 << 10;

pub async fn serve(client: Rc<ClientConnection>, mut stream: Stream) {
    let activity = client.activity.clone();
    let limits = client.connections.settings.head;
    let announced = stream.follow(
        limits,
        &client.connections.write_batcher,
        &client.connections.unsent,
    );
    let opened = Rc::new(RefCell::new(None));
    let service =
        service_fn(|request| answer(client.clone(), request, opened.clone(), announced.clone()));
    let mut builder = Builder::new();
    builder
        .half_close(false)
        .auto_date_header(client.connections.settings.date_header);
    // These are judged before; here they must only not be smaller. Reserved room costs time.
    if limits.fields > DEFAULT_FIELDS {
        builder.max_headers(limits.fields);
    }
    builder.max_buf_size(limits.head.max(BUFFER));
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let watched = WatchedConnection {
        connections: &client.connections,
        activity: &activity,
        manner: Manner::Http1,
    };
    match watched.run(Pin::new(&mut connection)).await {
        Ok(Err(error)) if error.is_user() => {
            // The body ends where the connection does, unless that is reset (RFC 9112 section 8).
            if activity.is_http_1_0() {
                reset(connection.into_parts().io);
            }
        }
        Ok(Ok(())) if let Some(socket) = opened.take() => {
            let parts = connection.into_parts();
            // What came before the answer is no message, whatever it is.
            let transport = parts.io.into_inner().upgraded();
            if let Some(transport) = transport.filter(|_| parts.read_buf.is_empty()) {
                websocket::serve(&client, transport, socket).await;
            }
        }
        // Bytes of a request that nobody reads are on their way: closing over them would reset the connection, and
        // with it the answer.
        Ok(Ok(())) if activity.is_cut_short() => {
            let stream = connection.into_parts().io.into_inner();
            client.linger(stream.into_transport(), UNREAD_REQUEST).await;
        }
        // What was found valid here, and not by the parser behind: it has answered already.
        Ok(Err(error)) if error.is_parse() => client.note_refused(&error),
        Ok(_) | Err(Stop::Abused | Stop::Left | Stop::Evicted) => {}
        Err(Stop::Close) => {
            if activity.has_answered() {
                Pin::new(&mut connection).graceful_shutdown();
                let _ = timeout(LAST_BYTES, connection).await;
            }
        }
        Err(Stop::Refuse(refusal)) => {
            // Half an answer may still wait to be written; another must not follow it.
            if !activity.is_blocked() {
                let stream = connection.into_parts().io.into_inner();
                let asked = stream.asked();
                client.refuse(stream.into_transport(), refusal, asked).await;
            }
        }
        Err(Stop::Stalled) => reset(connection.into_parts().io),
    }
}

fn reset(stream: TokioIo<Stream>) {
    let transport = stream.into_inner().into_transport();
    transport.socket().reset_at_end();
}

async fn answer(
    client: Rc<ClientConnection>,
    request: Request<hyper::body::Incoming>,
    opened: Rc<RefCell<Option<OpenedWebSocket>>>,
    announced: AnnouncedBodies,
) -> Result<Response<Body>, Infallible> {
    let busy = Busy::begin(&client.activity);
    let version = request.version();
    client.activity.speaks(version);
    let asks = version > Version::HTTP_10
        && asks_first(request.headers())
        && !request.body().is_end_stream();
    let asked = asks.then(Arc::<AtomicBool>::default);
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let announced = is_chunked.then(|| announced.next()).flatten();
    let request = request.map(|body| Incoming::Http1 {
        body,
        asked: asked.clone(),
        announced,
    });
    let progress = client.activity.progress();
    let mut response = match client.asks_for_websocket(&request) {
        None => client.answer(request, progress).await,
        Some(asked) => {
            let requests = &client.connections.requests;
            let answer = requests.open_websocket(asked, &client.origin, request, progress);
            let (response, socket) = answer.await;
            opened.replace(socket);
            response
        }
    };
    let is_over = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    busy.answered();
    response.body_mut().attach(Box::new(busy));
    let is_leaving = client.connections.shutdown.leaving().is_some() || client.moves_on();
    // Who was not asked for a body does not send it, so that nobody knows what comes next (RFC 9110 section 10.1.1).
    let is_unasked = asked.is_some_and(|asked| !asked.load(Relaxed));
    let ends_body = version <= Version::HTTP_10 && is_endless(&response);
    if ends_body {
        // The parser keeps to what it is told of a response of this version.
        *response.version_mut() = Version::HTTP_10;
    }
    if !is_over && version <= Version::HTTP_11 && (is_leaving || is_unasked || ends_body) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    date::tell(&client.connections.settings, response.headers_mut());
    Ok(response)
}

/// Says whether only the end of the connection ends a response of HTTP/1.0 (RFC 9112 section 9.6).
fn is_endless(response: &Response<Body>) -> bool {
    let body = response.body();
    let is_known = response.headers().contains_key(header::CONTENT_LENGTH);
    !is_known && !body.is_end_stream() && body.size_hint().exact().is_none()
}

/// Says why nothing more is read, and sees to it that the client can read that.
pub async fn refuse(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    refusal: HeadRefusal,
    settings: &Settings,
) {
    let message = refusal.message(settings.date_header, &settings.fields);
    let told = async { client.write_all(&message).await };
    if let Ok(Ok(())) = timeout(LAST_BYTES, told).await {
        linger(client, UNREAD_REQUEST).await;
    }
}

/// Ends a connection whose client may still be sending: closing over that would reset it before the client has read
/// what it was told (RFC 9112 section 9.6).
pub async fn linger(mut client: impl AsyncRead + AsyncWrite + Unpin, lingering: Lingering) {
    let Lingering { all, idle, bytes } = lingering;
    let rest = async {
        let _ = timeout(idle, client.shutdown()).await;
        let (mut ignored, mut left) = ([0; 16 << 10], bytes);
        while let Ok(Ok(length @ 1..)) = timeout(idle, client.read(&mut ignored)).await {
            left = left.saturating_sub(length);
            if left == 0 {
                // What it sends waits, while it may still read what it was told.
                pending::<()>().await;
            }
        }
    };
    let _ = timeout(all, rest).await;
}
