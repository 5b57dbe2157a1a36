//! An `Exchange` records what comes of a request: the counters of the scoreboard, the access log, and the reason where
//! it failed.

mod refused;

use super::client::Client;
use super::header_policy::Arrival;
use super::spans::Spans;
use super::startup_failure::{self, FailureReport};
use super::upload::UploadState;
use crate::guest::{Failure, Recorder};
use crate::log::{self, AccessRecord, CapturedFields, FailedRequest, Level};
use crate::scoreboard::{Ended, GuestFailure, SlotRef, totals};
use crate::sys::clock;
use crate::trace::Trace;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An `Exchange` is one request on its way; it is over when it is dropped.
pub struct Exchange {
    client: Client,
    id: Option<HeaderValue>,
    trace: Option<Arc<Trace>>,
    spans: Option<Box<Spans>>,
    method: Method,
    target: Uri,
    version: Version,
    started: Instant,
    status: Cell<Option<StatusCode>>,
    sent: Cell<u64>,
    /// Since then the client has not asked for more of the body, and had not for so long before.
    offered: Cell<Option<Instant>>,
    client_time: Cell<Duration>,
    upload: OnceCell<Arc<UploadState>>,
    /// What the guest is given is recorded by it, where the operator wants that.
    recorder: OnceCell<Arc<Recorder>>,
    logged: bool,
    /// The guest was running for this long; none where it was not asked.
    guest: Cell<Option<Duration>>,
    failed: Cell<bool>,
    slot: SlotRef,
    scheme: Scheme,
    /// The operator's format of the log has these fields of both heads.
    captured: RefCell<CapturedFields>,
}

impl Exchange {
    pub fn begin<B>(
        arrival: &Arrival,
        request: &Request<B>,
        slot: &SlotRef,
        logged: bool,
    ) -> Rc<Exchange> {
        Exchange::begin_since(arrival, request, slot, logged, Instant::now())
    }

    /// Begins where the head of the request began to come earlier.
    pub fn begin_since<B>(
        arrival: &Arrival,
        request: &Request<B>,
        slot: &SlotRef,
        logged: bool,
        started: Instant,
    ) -> Rc<Exchange> {
        slot.request_began();
        let logged = logged && log::format(Level::Info).is_some();
        let format = log::access_format().filter(|_| logged);
        let captured = format.map(|format| CapturedFields {
            request: format.capture_request(request.headers()),
            ..CapturedFields::default()
        });
        Rc::new(Exchange {
            client: arrival.client,
            id: arrival.id.clone(),
            trace: arrival.trace.clone(),
            spans: Spans::begin(arrival, request, started),
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            started,
            status: Cell::new(None),
            sent: Cell::new(0),
            offered: Cell::new(None),
            client_time: Cell::default(),
            upload: OnceCell::new(),
            recorder: OnceCell::new(),
            logged,
            guest: Cell::new(None),
            failed: Cell::new(false),
            slot: slot.clone(),
            scheme: arrival.scheme.clone(),
            captured: RefCell::new(captured.unwrap_or_default()),
        })
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The guest is about to run: should it hang, this is what its worker was answering. What it is given is recorded,
    /// if it is.
    pub fn enter_guest(&self, recorder: Option<Arc<Recorder>>) {
        if let Some(recorder) = recorder {
            let _ = self.recorder.set(recorder);
        }
        let now = clock::recent_ms();
        self.slot
            .answering(self.method.as_str(), self.target.path(), now);
        if let Some(spans) = &self.spans {
            spans.enter_guest(self.started.elapsed());
        }
    }

    /// The head of the response is as the client gets it.
    pub fn head<B>(&self, response: &Response<B>) {
        self.status.set(Some(response.status()));
        if let Some(format) = log::access_format().filter(|_| self.logged) {
            self.captured.borrow_mut().response = format.capture_response(response.headers());
        }
    }

    /// Notes that bytes of the response body were handed to the connection. What are the last is not waited for.
    pub fn sent(&self, bytes: u64, is_last: bool) {
        self.sent.set(self.sent.get() + bytes);
        if !is_last {
            self.offered.set(Some(Instant::now()));
        }
    }

    /// Notes that the connection asks for more of the response body, as the client has taken what there was.
    pub fn asked_for_more(&self) {
        if let Some(since) = self.offered.take() {
            self.client_time
                .set(self.client_time.get() + since.elapsed());
        }
    }

    /// Runs some of the guest, and notes how long it takes.
    pub fn in_guest<T>(&self, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = run();
        let before = self.guest.get().unwrap_or_default();
        self.guest.set(Some(before + start.elapsed()));
        result
    }

    /// The request has a body, of which this is known.
    pub fn uploads(&self, upload_state: Arc<UploadState>) {
        let _ = self.upload.set(upload_state);
    }

    pub fn upload(&self) -> Option<&UploadState> {
        self.upload.get().map(Arc::as_ref)
    }

    /// Notes that nobody reads the rest of the request's body.
    pub fn abandon_upload(&self) {
        if let Some(upload) = self.upload() {
            upload.abandon();
        }
    }

    /// A mounted server failed; says so in the log, with the request.
    pub fn mount_failed(&self, mount: &str, why: &str) {
        if let Some(spans) = &self.spans {
            spans.failed("mount", format!("mount {mount}: {why}"));
        }
        self.tell(Level::Error, format_args!("mount {mount}: {why}"));
    }

    /// The guest went on after its response for as long as it may, and is ended; says so in the log, with the request.
    pub fn outlived(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let what = format_args!(
            "the guest was ended, as it still ran {seconds} s after its response (--timeout-idle-body)"
        );
        self.tell(Level::Warning, what);
    }

    fn tell(&self, level: Level, what: fmt::Arguments) {
        let trace = self.trace.as_deref();
        let id = self.id.as_ref().and_then(|id| id.to_str().ok());
        let name = match log::request_name(id, trace) {
            name if name.is_empty() => name,
            name => format!(" [{name}]"),
        };
        let mut target = String::new();
        log::push_target(&mut target, self.shown_target());
        let (client, method) = (&self.client, &self.method);
        let message = format_args!("{client} \"{method} {target}\"{name}: {what}");
        log::write_of(level, trace, message);
    }

    /// The guest failed; says so in the log, with the request.
    pub fn failed(&self, failure: &Failure) {
        let kind = kind(failure);
        self.failed.set(true);
        if let Some(recorder) = self.recorder.get() {
            recorder.fails(failure);
        }
        self.slot.guest_failed(kind);
        if let Some(spans) = &self.spans {
            let kind = totals::GUEST_FAILURE_KINDS[kind as usize];
            spans.failed(kind, failure.to_string());
        }
        match startup_failure::note(failure) {
            FailureReport::Whole => {}
            FailureReport::Count(count) => {
                let last = log::escape(&failure.last_word()).to_string();
                let message =
                    format_args!("the application did not start {count} times more: {last}");
                return log::write_of(Level::Error, None, message);
            }
            FailureReport::Nothing => return,
        }
        log::failed(&FailedRequest {
            client: &self.client,
            method: self.method.as_str(),
            target: self.shown_target(),
            id: self.id.as_ref().and_then(|id| id.to_str().ok()),
            trace: self.trace.as_deref(),
            what: failure,
            kind: totals::GUEST_FAILURE_KINDS[kind as usize],
            backtrace: failure.backtrace(),
            core_dump: failure.core_dump(),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abandon_upload();
        self.asked_for_more();
        let took = self.started.elapsed();
        let upload = self.upload().map_or(Duration::ZERO, UploadState::waited);
        let ended = Ended {
            method: method_index(&self.method),
            status: self.status.get().map(|status| status.as_u16()),
            received: self.upload().map_or(0, UploadState::received),
            sent: self.sent.get(),
            took,
            client: self.client_time.get() + upload,
            guest: self.guest.get(),
            failed: self.failed.get(),
        };
        self.slot.request_ended(&ended);
        if let Some(spans) = self.spans.take() {
            spans.end(&ended);
        }
        // Without a status the client went away before there was an answer.
        if let (true, Some(status)) = (self.logged, self.status.get()) {
            self.record(status, took);
        }
    }
}

impl Exchange {
    fn shown_target(&self) -> &str {
        match (self.target.path_and_query(), self.target.authority()) {
            (Some(path), _) => path.as_str(),
            // All that CONNECT has (RFC 9112 section 3.2.3).
            (None, Some(authority)) => authority.as_str(),
            (None, None) => "*",
        }
    }

    fn record(&self, status: StatusCode, took: Duration) {
        let address = self.client.address();
        let ip = address.map(|address| address.ip().to_canonical());
        log::access(&AccessRecord {
            client: &self.client,
            address: match &ip {
                Some(ip) => ip,
                None => &self.client,
            },
            port: address.map_or(0, |address| address.port()),
            method: self.method.as_str(),
            target: self.shown_target(),
            protocol: protocol(self.version),
            scheme: self.scheme.as_str(),
            status: status.as_u16(),
            reason: status.canonical_reason().unwrap_or_default(),
            received: self.upload().map_or(0, UploadState::received),
            sent: self.sent.get(),
            took,
            guest: self.guest.get().unwrap_or_default(),
            worker: self.slot.index(),
            id: self.id.as_ref().and_then(|id| id.to_str().ok()),
            trace: self.trace.as_deref(),
            captured: &self.captured.borrow(),
        });
    }
}

/// Gives what kind of failure it is counted as.
pub fn kind(failure: &Failure) -> GuestFailure {
    match failure {
        Failure::Trapped {
            refused_memory: true,
            ..
        }
        | Failure::NoRoom => GuestFailure::Memory,
        Failure::Trapped { .. } | Failure::Lost(_) => GuestFailure::Trap,
        Failure::TimedOut | Failure::OutOfTime => GuestFailure::Timeout,
        Failure::NoResponse => GuestFailure::NoResponse,
        Failure::ErrorCode(_)
        | Failure::NotStarted(_)
        | Failure::IllegalHead(_)
        | Failure::Unfinished(_) => GuestFailure::Error,
    }
}

/// Says which of the methods that are told apart it is; the last where it is none of them.
fn method_index(method: &Method) -> usize {
    let known = totals::METHODS
        .iter()
        .position(|name| *name == method.as_str());
    known.unwrap_or(totals::METHODS.len() - 1)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
