//! A connection that speaks HTTP/2: its streams are answered side by side.

use super::Client;
use super::activity::{Activity, Pace};
use super::stream::Stream;
use super::watch::{Manner, Stop, Timer, Watched};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::sleep;

pub async fn serve(client: Rc<Client>, stream: Stream) {
    let activity = client.activity.clone();
    let settings = &client.connections.settings;
    activity.rest();
    let streams = Streams {
        activity: activity.clone(),
        write: settings.write,
    };
    let answering = client.clone();
    let service = service_fn(move |request| answering.clone().answer(request));
    let mut builder = Builder::new(streams);
    builder
        .auto_date_header(settings.date_header)
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(u32::try_from(settings.head.head).unwrap_or(u32::MAX));
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let unpaced = Pace::default();
    let mut watched = Watched {
        connections: &client.connections,
        activity: &activity,
        pace: &unpaced,
        manner: Manner::Http2 { told: None },
    };
    // The first time to go, the client is told (GOAWAY); what it has sent until it knows is answered.
    while let Err(Stop::Close) = watched.run(Pin::new(&mut connection)).await {
        if watched.has_told() {
            break;
        }
        Pin::new(&mut connection).graceful_shutdown();
        watched.manner = Manner::Http2 {
            told: Some(Instant::now()),
        };
    }
}

/// Runs the streams of one connection.
#[derive(Clone)]
struct Streams {
    activity: Rc<Activity>,
    write: Duration,
}

impl<F: Future + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(run(stream, self.activity.clone(), self.write));
    }
}

/// Runs one stream, but no longer than its client takes what it is given: dropping it resets it.
async fn run<F: Future>(stream: F, activity: Rc<Activity>, write: Duration) {
    let pace = Rc::new(Pace::default());
    let mut stream = pin!(stream);
    let sleep = pin!(sleep(write));
    let mut timer = Timer::new(sleep);
    poll_fn(|cx| {
        activity.enter(&pace);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match pace.since() {
            Some(since) => timer.poll(cx, || Some((since + write, ()))),
            None => Poll::Pending,
        }
    })
    .await;
}
