//! The collector is sent one POST for each batch (OTLP/HTTP). This file decides which answers mean that it is to be
//! tried again, and when.

use super::Settings;
use crate::guest::outbound::tls;
use crate::log;
use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use rand::RngExt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};

/// The first pause before a batch is sent again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A batch that was not accepted for this long makes room for those behind it.
const GIVE_UP: Duration = Duration::from_secs(120);

/// This much of an answer is read.
const ANSWER: usize = 64 << 10;

/// A connection that carried nothing for this long is closed.
const KEPT: Duration = Duration::from_secs(30);

/// A `PostOutcome` says what came of an attempt.
#[derive(Debug)]
pub enum PostOutcome {
    /// The collector has taken all spans but this many.
    Accepted { rejected: u64 },
    /// The collector may accept them later, not before this time where it says so.
    Again {
        why: String,
        after: Option<Duration>,
    },
    /// The collector will never take the spans.
    Refused { why: String },
}

pub type Posting = Pin<Box<dyn Future<Output = PostOutcome>>>;

/// A `Delivery` is a batch on its way.
pub struct Delivery {
    body: Bytes,
    pub count: u64,
    since: Instant,
    next: Instant,
    pause: Duration,
}

impl Delivery {
    pub fn new(body: Bytes, count: u64) -> Delivery {
        Delivery {
            body,
            count,
            since: Instant::now(),
            next: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    pub fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// Waits longer from one time to the next, or for as long as it is told. False where it has waited for too long.
    pub fn waits(&mut self, told: Option<Duration>) -> bool {
        // Not all at once, where several exporters have lost the same collector.
        let pause = self.pause.mul_f64(rand::rng().random_range(0.8..1.2));
        let pause = told
            .map_or(pause, |told| told.max(pause))
            .min(LONGEST_PAUSE);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.next = Instant::now() + pause;
        self.next < self.since + GIVE_UP
    }
}

pub struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Settings,
    headers: HeaderMap,
}

impl Collector {
    /// Reads whom to believe, where TLS is spoken.
    pub fn new(settings: &Settings) -> Result<Collector> {
        let roots = settings.is_secure().then_some(&settings.roots);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(roots).context("the exporter cannot speak TLS")?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let mut headers = settings.headers.clone();
        const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
        const AGENT: HeaderValue =
            HeaderValue::from_static(concat!("wasmserve/", env!("CARGO_PKG_VERSION")));
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.entry(USER_AGENT).or_insert(AGENT);
        Ok(Collector {
            client: Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEPT)
                .build(connector),
            settings: settings.clone(),
            headers,
        })
    }

    /// Sends a batch once.
    pub fn send(&self, delivery: &Delivery) -> Posting {
        let mut request = Request::new(Full::new(delivery.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.settings.endpoint.clone();
        *request.headers_mut() = self.headers.clone();
        let (answer, limit) = (self.client.request(request), self.settings.timeout);
        let exchange = async move {
            match answer.await {
                Ok(response) => read(response).await,
                Err(error) => again(causes(&error)),
            }
        };
        Box::pin(async move {
            let late = |_| again(format!("it did not answer within {limit:?}"));
            timeout(limit, exchange).await.unwrap_or_else(late)
        })
    }
}

fn again(why: String) -> PostOutcome {
    PostOutcome::Again { why, after: None }
}

async fn read(response: Response<Incoming>) -> PostOutcome {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    if head.status.is_success() {
        let said = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let rejected = said.partial_success.map_or(0, |it| it.rejected_spans);
        let rejected = u64::try_from(rejected).unwrap_or(0);
        return PostOutcome::Accepted { rejected };
    }
    let why = format!("it answered {}", head.status);
    match head.status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => PostOutcome::Again {
            why,
            after: retry_after(&head.headers, SystemTime::now()),
        },
        _ => PostOutcome::Refused { why },
    }
}

/// Finds how long the collector wants to be left alone: seconds, or until a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// Writes an error with what caused it, in one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = error.source();
    }
    log::escape(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_and_a_collector_may_ask_for_longer_ones() {
        let mut delivery = Delivery::new(Bytes::new(), 1);
        let mut pause = |told| {
            let before = Instant::now();
            let goes_on = delivery.waits(told);
            (goes_on, delivery.next - before)
        };
        let (_, first) = pause(None);
        assert!(
            first < FIRST_PAUSE * 2 && first > FIRST_PAUSE / 2,
            "{first:?}"
        );
        let (_, told) = pause(Some(Duration::from_secs(7)));
        assert!(told >= Duration::from_secs(7), "{told:?}");
        for _ in 0..10 {
            pause(None);
        }
        let (goes_on, longest) = pause(Some(Duration::from_secs(100_000)));
        assert!(
            goes_on && longest <= LONGEST_PAUSE + Duration::from_secs(1),
            "{longest:?}"
        );
        delivery.since = Instant::now() - GIVE_UP;
        assert!(!delivery.waits(None));
    }

    #[test]
    fn the_time_to_leave_a_collector_alone_is_understood() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(
                &headers,
                SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770),
            )
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        let seven = Some(Duration::from_secs(7));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), seven);
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }
}
