//! A request of a guest is checked, waits for its permits, is sent, and is sent again where a connection from the
//! pool turned out to be dead.

use super::body::{LastProgress, Permits, Receiving, Sending, begun, empty};
use super::connect::{Connector, UseMark, connectors, destination};
use super::error_code::{self, Why};
use super::headers::remove_hop_by_hop;
use super::named_host;
use super::{Settings, Times};
use crate::guest::counts::Counts;
use crate::guest::host::about_guests;
use crate::guest::host::name_lookup::LONGEST_NAME;
use crate::guest::host::network::Denial;
use crate::{debug, log};
use anyhow::Result;
use http::header::HOST;
use http::uri::Authority;
use http::{Extensions, Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// An `OutboundClient` has the connections that all instances of one process share.
pub struct OutboundClient {
    pool: legacy::Client<Connector, Sending>,
    /// In HTTP/2 the host of the URL is the only one that a request can name.
    http1: legacy::Client<Connector, Sending>,
    settings: Settings,
    counts: Arc<Counts>,
    /// All instances together have these permits.
    all: Arc<Semaphore>,
}

/// A connection is kept idle for this long: servers close theirs after 5 seconds (Node, uvicorn) to 75 (nginx).
const IDLE: Duration = Duration::from_secs(30);

/// This many connections are kept for each server.
const IDLE_PER_HOST: usize = 32;

/// A request that meets with nothing but dead connections is sent this often.
const ATTEMPTS: u32 = 3;

/// A `FailedAttempt` is an attempt at a request that failed.
struct FailedAttempt {
    why: Why,
    /// The connection had been used before, and nothing came back.
    stale: bool,
}

impl OutboundClient {
    pub fn new(settings: Settings, counts: &Arc<Counts>) -> Result<OutboundClient> {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST);
        let [any, http1] = connectors(&settings)?;
        Ok(OutboundClient {
            pool: builder.build(any),
            http1: builder.build(http1),
            all: Arc::new(Semaphore::new(settings.of_all)),
            settings,
            counts: counts.clone(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends a request of an instance that has the permits `own`, and counts what comes of it.
    pub async fn send(
        &self,
        own: Arc<Semaphore>,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        let sending = self.counts.sends();
        let answered = self.exchange(own, request, options).await;
        sending.ended(error_code::outcome(&answered));
        answered
    }

    async fn exchange(
        &self,
        own: Arc<Semaphore>,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        self.check(&request)?;
        let times = self.settings.times.within(options);
        let deadline = Instant::now() + times.connect;
        let permits = self.permits(own, deadline).await?;
        remove_hop_by_hop(request.headers_mut());
        named_host::settle(&self.settings.rules, &mut request);
        let mut request = begun(request).await?;
        let copy = repeatable(&request).then(|| head_of(&request));
        let mut left = ATTEMPTS;
        let response = loop {
            left -= 1;
            match self.attempt(request, deadline, times).await {
                Ok(response) => break response,
                Err(FailedAttempt {
                    why: Why::Denied(denial),
                    ..
                }) => return Err(deny(&denial)),
                Err(FailedAttempt {
                    why: Why::Failed(error),
                    stale,
                }) => match &copy {
                    Some(copy) if stale && left > 0 => request = again(copy),
                    _ => return Err(error),
                },
            }
        };
        let (mut parts, body) = response.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        let body = Receiving::new(body, times.between_bytes, permits);
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }

    /// Checks what can be known before anything is looked up.
    fn check(&self, request: &Request<WasiBody>) -> Result<(), Error> {
        let uri = request.uri();
        // To look at one of 100 MB, again and again, takes longer than a worker may be silent.
        if uri.host().is_some_and(|host| host.len() > LONGEST_NAME) {
            return Err(Error::HttpRequestUriInvalid);
        }
        let Some((scheme, host, port)) = destination(uri) else {
            return Err(Error::HttpRequestUriInvalid);
        };
        let authority = uri.authority().map_or("", Authority::as_str);
        if authority.contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        // A tunnel is not a request, and nothing here looks into one.
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        match self.settings.rules.permit(scheme, host, port) {
            Ok(_) => Ok(()),
            Err(denial) => Err(deny(&denial)),
        }
    }

    async fn permits(&self, own: Arc<Semaphore>, deadline: Instant) -> Result<Permits, Error> {
        let both = async {
            let own = own.acquire_owned().await.ok()?;
            let all = self.all.clone().acquire_owned().await.ok()?;
            Some([own, all])
        };
        match timeout_at(deadline, both).await {
            Ok(Some(permits)) => Ok(permits),
            _ => {
                about_guests::tell!(
                    "an outbound request of the guest waited too long for others to end: {} of one request or {} of the \
                     worker are under way (--limit-outbound-per-request, --limit-outbound)",
                    self.settings.of_one,
                    self.settings.of_all
                );
                Err(Error::ConnectionLimitReached)
            }
        }
    }

    /// Sends a request once, and waits for the head of its response.
    async fn attempt(
        &self,
        request: Request<WasiBody>,
        deadline: Instant,
        times: Times,
    ) -> Result<Response<Incoming>, FailedAttempt> {
        let progress = LastProgress::now();
        let mut request = request.map(|body| Sending::new(body, progress.clone()));
        let mut captured = capture_connection(&mut request);
        let pool = match request.headers().contains_key(HOST) {
            true => &self.http1,
            false => &self.pool,
        };
        let mut response = pin!(pool.request(request));
        tokio::select! {
            biased;
            result = &mut response => return result.map_err(|error| broken(&error, &captured)),
            () = connected(&mut captured) => {}
            () = sleep_until(deadline) => return Err(FailedAttempt::late(Error::ConnectionTimeout)),
        }
        progress.note();
        // A connection is marked as used when its first response is there.
        loop {
            let wait = progress.last() + times.first_byte;
            tokio::select! {
                biased;
                result = &mut response => {
                    let result = result.map_err(|error| broken(&error, &captured))?;
                    was_used(&captured);
                    return Ok(result);
                }
                () = sleep_until(wait) => {
                    if progress.last() + times.first_byte <= Instant::now() {
                        return Err(FailedAttempt::late(Error::ConnectionReadTimeout));
                    }
                }
            }
        }
    }
}

impl FailedAttempt {
    fn late(error: Error) -> FailedAttempt {
        FailedAttempt {
            why: Why::Failed(error),
            stale: false,
        }
    }
}

fn broken(error: &legacy::Error, captured: &CaptureConnection) -> FailedAttempt {
    let why = error_code::why(error);
    let ended = matches!(why, Why::Failed(Error::ConnectionTerminated));
    if let Why::Failed(failed) = &why {
        let said = format!("{:#}", Causes(error));
        debug!(
            "an outbound request of the guest failed: {failed} ({})",
            log::escape(&said)
        );
    }
    FailedAttempt {
        stale: ended && was_used(captured),
        why,
    }
}

/// `Causes` formats an error with what caused it.
struct Causes<'a>(&'a legacy::Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = std::error::Error::source(self.0);
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

fn deny(denial: &Denial) -> Error {
    let said = denial.to_string();
    about_guests::tell!(
        "denied an outbound request of the guest to {}",
        log::escape(&said)
    );
    Error::HttpRequestDenied
}

async fn connected(captured: &mut CaptureConnection) {
    captured.wait_for_connection_metadata().await;
}

/// Says whether the connection had carried a request before this one.
fn was_used(captured: &CaptureConnection) -> bool {
    let mut extras = Extensions::new();
    if let Some(connected) = &*captured.connection_metadata() {
        connected.get_extras(&mut extras);
    }
    extras.get::<UseMark>().is_some_and(UseMark::mark)
}

/// Says whether a request does no harm when it is sent twice, and can be.
fn repeatable(request: &Request<WasiBody>) -> bool {
    request.method().is_safe() && request.body().is_end_stream()
}

fn head_of(request: &Request<WasiBody>) -> Request<()> {
    let mut head = Request::new(());
    head.method_mut().clone_from(request.method());
    head.uri_mut().clone_from(request.uri());
    head.headers_mut().clone_from(request.headers());
    head
}

fn again(head: &Request<()>) -> Request<WasiBody> {
    head.clone().map(|()| empty())
}
