//! A connection that speaks HTTP/1.1.

use super::activity::{Activity, Pace};
use super::refusal::Refusal;
use super::socket::Socket;
use super::stream::Stream;
use super::watch::{Stop, Watched};
use super::{Client, LAST_BYTES};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How much of what a refused client goes on sending is thrown away: closing over it would reset the
/// connection before the client has read why.
const LINGER: usize = 1 << 20;

pub async fn serve(client: Rc<Client>, stream: Stream) {
    let activity = client.activity.clone();
    let pace = Rc::new(Pace::default());
    activity.enter(&pace);
    let service = service_fn(|request| client.clone().answer(request));
    let mut builder = Builder::new();
    builder
        .half_close(false)
        .auto_date_header(client.connections.settings.date_header);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let watched = Watched {
        connections: &client.connections,
        activity: &activity,
        pace: &pace,
    };
    match watched.run(Pin::new(&mut connection)).await {
        Ok(Err(error)) if error.is_user() => {
            // The body ends where the connection does, unless that is reset (RFC 9112 section 8).
            if activity.is_http_1_0() {
                socket_of(connection.into_parts().io).reset_at_end();
            }
        }
        Ok(_) => {}
        Err(Stop::Close) => {
            if activity.has_answered() {
                Pin::new(&mut connection).graceful_shutdown();
                let _ = timeout(LAST_BYTES, connection).await;
            }
        }
        Err(Stop::Refuse(refusal)) => {
            let socket = socket_of(connection.into_parts().io);
            refuse(socket, refusal, &activity).await;
        }
        Err(Stop::Stalled) => socket_of(connection.into_parts().io).reset_at_end(),
    }
}

fn socket_of(stream: TokioIo<Stream>) -> Socket {
    stream.into_inner().into_socket()
}

async fn refuse(mut socket: Socket, refusal: Refusal, activity: &Activity) {
    // Half an answer may still wait to be written; another must not follow it.
    if activity.is_blocked() {
        return;
    }
    let told = async {
        socket.write_all(&refusal.message()).await?;
        socket.shutdown().await?;
        let mut rest = socket.take(LINGER as u64);
        let mut ignored = [0; 4096];
        while rest.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LAST_BYTES, told).await;
}
