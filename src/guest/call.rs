//! One request inside one instance, in either generation of WASI HTTP: a future that is the running
//! guest, and the place where it leaves the head of its response.

use super::failure::Failure;
use super::meter::{Exhausted, Meter};
use super::state::State;
use super::ticker::Ticker;
use super::turn::Turn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme as P2Scheme;
use wasmtime_wasi_http::p3::Request as P3Request;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// A request as guests get it: the target is absolute, with scheme and authority.
pub type Request = http::Request<WasiBody>;

type Head = Result<http::Response<WasiBody>, String>;

/// Filled once, by the guest. The host's resources demand a lock where one thread would do.
#[derive(Clone, Default)]
pub struct HeadSlot(Arc<Mutex<Option<Head>>>);

impl HeadSlot {
    fn put(&self, head: Head) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    pub fn take(&self) -> Option<Head> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The guest at work. It makes progress only while it is polled, and is gone when it is dropped.
pub struct Running {
    guest: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
    ticker: Arc<Ticker>,
    share: Arc<Share>,
}

/// A guest's share of the processor.
pub struct Share {
    pub meter: Meter,
    pub turn: Arc<Turn>,
}

impl Running {
    pub fn new(
        guest: impl Future<Output = Result<(), Failure>> + Send + 'static,
        ticker: Arc<Ticker>,
        share: Arc<Share>,
    ) -> Running {
        Running {
            guest: Box::pin(guest),
            ticker,
            share,
        }
    }
}

impl Future for Running {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Running {
            guest,
            ticker,
            share,
        } = &mut *self;
        ticker.wind();
        let polled = share.meter.measure(|| guest.as_mut().poll(cx));
        share.turn.end();
        polled
    }
}

/// Calls `wasi:http/incoming-handler@0.2`.
pub async fn p2(
    pre: ProxyPre<State>,
    mut store: Store<State>,
    request: Request,
    head: HeadSlot,
) -> Result<(), Failure> {
    let called = async {
        let scheme = match request.uri().scheme_str() {
            Some("https") => P2Scheme::Https,
            _ => P2Scheme::Http,
        };
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(scheme, request)?;
        let response = http.new_response_outparam_from_callback(move |response| {
            head.put(response.map_err(|code| code.to_string()));
        })?;
        let proxy = pre.instantiate_async(&mut store).await?;
        let handler = proxy.wasi_http_incoming_handler();
        handler.call_handle(&mut store, request, response).await
    };
    let result = called.await;
    result.map_err(|error| trapped(error, &store))
}

/// Calls `wasi:http/handler@0.3`, and stays with the instance until its last task has ended.
pub async fn p3(
    pre: ServicePre<State>,
    mut store: Store<State>,
    request: Request,
    head: HeadSlot,
) -> Result<(), Failure> {
    let called = async {
        let service = pre.instantiate_async(&mut store).await?;
        let run = store.run_concurrent(async |accessor| {
            let (request, sent) =
                accessor.with(|mut access| p3_request(access.data_mut(), request));
            match service.handle(accessor, request).await? {
                Ok(response) => {
                    let response = accessor.with(|access| response.into_http(access, sent))?;
                    head.put(Ok(response));
                }
                Err(code) => head.put(Err(code.to_string())),
            }
            std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            wasmtime::Result::Ok(())
        });
        run.await?
    };
    let result = called.await;
    result.map_err(|error| trapped(error, &store))
}

type Sent = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

fn p3_request(state: &mut State, request: Request) -> (P3Request, Sent) {
    let (request, sent) = P3Request::from_http(state.http().hooks, request);
    (request, Box::pin(sent))
}

fn trapped(error: wasmtime::Error, store: &Store<State>) -> Failure {
    if error.is::<Exhausted>() {
        return Failure::OutOfTime;
    }
    Failure::Trapped {
        error,
        refused_memory: store.data().was_refused_memory(),
    }
}
