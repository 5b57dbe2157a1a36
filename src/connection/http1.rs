//! A connection that speaks HTTP/1.1.

use super::activity::Pace;
use super::refusal::Refusal;
use super::settings::Settings;
use super::stream::Stream;
use super::watch::{Manner, Stop, Watched};
use super::{Client, LAST_BYTES};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How much of what a refused client goes on sending is thrown away: closing over it would reset the
/// connection before the client has read why.
const LINGER: usize = 1 << 20;

/// Header fields that the parser has room for unless it is told otherwise.
const DEFAULT_FIELDS: usize = 100;

/// What the parser reads ahead, at most.
const BUFFER: usize = 128 << 10;

pub async fn serve(client: Rc<Client>, mut stream: Stream) {
    let activity = client.activity.clone();
    let limits = client.connections.settings.head;
    stream.follow(limits, &client.connections.outbox);
    let pace = Rc::new(Pace::default());
    activity.enter(&pace);
    let service = service_fn(|request| client.clone().answer(request));
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
    let watched = Watched {
        connections: &client.connections,
        activity: &activity,
        pace: &pace,
        manner: Manner::Http1,
    };
    match watched.run(Pin::new(&mut connection)).await {
        Ok(Err(error)) if error.is_user() => {
            // The body ends where the connection does, unless that is reset (RFC 9112 section 8).
            if activity.is_http_1_0() {
                reset(connection.into_parts().io);
            }
        }
        Ok(_) | Err(Stop::Abused) => {}
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
                client.refuse(stream.into_transport(), refusal).await;
            }
        }
        Err(Stop::Stalled) => reset(connection.into_parts().io),
    }
}

fn reset(stream: TokioIo<Stream>) {
    let transport = stream.into_inner().into_transport();
    transport.socket().reset_at_end();
}

/// Says why nothing more is read, and sees to it that the client can read that.
pub async fn refuse(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    refusal: Refusal,
    settings: &Settings,
) {
    let told = async {
        client
            .write_all(&refusal.message(settings.date_header, &settings.fields))
            .await?;
        client.shutdown().await?;
        let mut rest = client.take(LINGER as u64);
        let mut ignored = [0; 4096];
        while rest.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LAST_BYTES, told).await;
}
