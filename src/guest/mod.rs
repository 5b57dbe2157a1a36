//! The component and its instances: the only users of the engine. Knows requests and responses as
//! values, and nothing of connections, processes and their supervision.

mod compile;
mod component;
#[cfg(any(test, feature = "fuzzing"))]
mod differential;
mod engine;
mod failure;
mod host;
mod inspect;
mod instance;
mod limits;
mod memory;
mod schedule;
mod snapshot;

pub use compile::{Compiled, Order, Progress, precompile};
#[cfg(any(test, feature = "fuzzing"))]
pub use differential::{compare as compare_restored_with_fresh, survey_any_bytes};
pub use engine::Plan;
pub use failure::Failure;
pub use host::capabilities::Capabilities;
pub use host::directories::Directory;
pub use host::keyvalue::Place;
pub use host::network::{Rule, Rules};
pub use host::outbound;
pub use inspect::inspect;
pub use instance::body::{GuestBody, is_bodiless};
pub use instance::call::Request;
pub use instance::loaded::Loaded;
pub use limits::{Limits, Reuse};
pub use wasmtime_wasi_http::Error as BodyError;

use crate::sys::heap;
use crate::warning;
use anyhow::{Context as _, Result};
use failure::NoRoom;
use host::capabilities::Granted;
use host::state::{self, State};
use http::HeaderValue;
use instance::body::Guest as Behind;
use instance::call::{HeadSlot, Running, copy, is_repeatable};
use instance::concurrent::Concurrent;
use instance::handler::Handler;
use instance::pool::Shelf;
use instance::serial::{Instance, Start};
use memory::worker::WorkerMemory;
use schedule::epoch::Ticker;
use schedule::share::Share;
use schedule::time_slice::Turns;
use snapshot::Rewinder;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::yield_now;
use wasmtime::{Engine, Store, UpdateDeadline};

/// The head of a guest's response, and its body.
pub type Response = http::Response<GuestBody>;

/// A component that is ready to be called, by this process.
pub struct Guest {
    engine: Engine,
    handler: Handler,
    limits: Limits,
    granted: Arc<Granted>,
    ticker: Arc<Ticker>,
    turns: Turns,
    /// What instances are put back with, where they can be.
    rewinder: Option<Arc<Rewinder>>,
    /// None where each request has an instance made for it.
    shelf: Option<Arc<Shelf>>,
    /// None where an instance answers one request at a time.
    concurrent: Option<Concurrent>,
}

impl Guest {
    /// Opens what guests may use, and what it takes to serve them.
    pub fn new(loaded: Loaded) -> Result<Guest> {
        let Loaded {
            engine,
            handler,
            limits,
            capabilities,
            rewinder,
            first,
        } = loaded;
        // What it was seeded with before a fork, others have too.
        rand::rng().reseed().context("there is no randomness")?;
        if let Some(rewinder) = &rewinder {
            rewinder.settle();
        }
        let ticker = Arc::new(Ticker::new(&engine));
        let turns = Turns::default();
        let memory = WorkerMemory::bounded(limits.worker_memory, limits.memory, limits.patience);
        let guest = Guest {
            granted: Granted::open(capabilities, memory)?,
            shelf: Shelf::new(limits.reuse, rewinder.is_some()),
            concurrent: Concurrent::new(limits, &ticker, &turns),
            engine,
            handler,
            limits,
            ticker,
            turns,
            rewinder,
        };
        if let (Some(shelf), Some(mut first)) = (&guest.shelf, first) {
            guest.own(&mut first);
            shelf.put(first);
        }
        guest.watch_memory();
        Ok(guest)
    }

    /// Starts the clock that interrupts guests.
    pub fn start_clock(&self) -> Result<()> {
        self.ticker.start(self.granted.memory().clone())
    }

    /// Has guests interrupted that take too much, and instances given up that wait while there is too little.
    fn watch_memory(&self) {
        let engine = self.engine.weak();
        heap::on_excess(move || {
            if let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
            }
        });
        if let Some(shelf) = &self.shelf {
            let shelf = Arc::downgrade(shelf);
            self.granted.memory().on_need(move || {
                if let Some(shelf) = shelf.upgrade() {
                    shelf.clear();
                }
            });
        }
    }

    /// Waits until there is memory for a further request.
    async fn admit(&self) -> Result<(), Failure> {
        let memory = self.granted.memory();
        if !memory.is_full() {
            return Ok(());
        }
        if let Some(concurrent) = &self.concurrent {
            concurrent.relieve();
        }
        memory.admit().await.map_err(|NoRoom| Failure::NoRoom)
    }

    /// Has an instance answer `request`; resolves when it has given the head of its response.
    pub async fn answer(&self, request: Request) -> Result<Response, Failure> {
        self.admit().await?;
        if let Some(concurrent) = &self.concurrent {
            return Box::pin(self.answer_beside(concurrent, request)).await;
        }
        let share = self.begin().await;
        let kept = self
            .shelf
            .as_ref()
            .and_then(|shelf| Some((shelf, shelf.take(is_repeatable(&request))?)));
        let Some((shelf, instance)) = kept else {
            return self.answer_with(None, share, request).await;
        };
        if shelf.rewinds() || instance.is_new() {
            return self.answer_with(Some(instance), share, request).await;
        }
        let again = copy(&request);
        let answered = self.answer_with(Some(instance), share, request).await;
        if answered.is_ok() {
            shelf.prove();
        }
        let (Err(failure), Some(again)) = (&answered, again) else {
            return answered;
        };
        // What the instance went through before may be to blame, and this request is not.
        let silent = matches!(failure, Failure::NoResponse);
        if !silent && !matches!(failure, Failure::Trapped { .. }) {
            return answered;
        }
        let share = self.begin().await;
        let answered = self.answer_with(None, share, again).await;
        if silent && answered.is_ok() {
            shelf.spoil();
        }
        answered
    }

    /// The same by an instance that may be answering others.
    async fn answer_beside(
        &self,
        concurrent: &Concurrent,
        request: Request,
    ) -> Result<Response, Failure> {
        let bodiless = request.method() == http::Method::HEAD;
        let make = |share| (self.handler.clone(), self.store(share, None));
        let (response, ticket) = concurrent.answer(&make, request).await?;
        let mut begun = Some((response, Behind::Elsewhere(ticket)));
        let begin = |cx: &mut Context<'_>| match begun.take() {
            Some((response, guest)) => Poll::Ready(GuestBody::begin(response, guest, bodiless, cx)),
            None => Poll::Pending,
        };
        poll_fn(begin).await
    }

    /// Waits until a guest may begin.
    async fn begin(&self) -> Arc<Share> {
        let share = Share::new(self.limits.cpu, &self.turns);
        share.turn.begin().await;
        share
    }

    async fn answer_with(
        &self,
        instance: Option<Instance>,
        share: Arc<Share>,
        request: Request,
    ) -> Result<Response, Failure> {
        let head = HeadSlot::default();
        let bodiless = request.method() == http::Method::HEAD;
        let mut running = Some(self.start(instance, share, request, head.clone()));
        poll_fn(|cx| poll_head(&mut running, &head, bodiless, cx)).await
    }

    fn start(
        &self,
        instance: Option<Instance>,
        share: Arc<Share>,
        request: Request,
        head: HeadSlot,
    ) -> Running {
        let ticker = self.ticker.clone();
        let shelf = self.shelf.clone();
        let name = request.headers().get("x-request-id").cloned();
        let start = match instance {
            Some(instance) => self.resume(instance, share.clone(), name),
            None => self.fresh(share.clone(), name),
        };
        let (own, memory) = (share.clone(), start.memory().clone());
        let call = async move {
            let mut instance = start.instance(&own).await?;
            if let Err(failure) = instance.answer(request, head).await {
                return own.fail(failure).await;
            }
            if let Some(shelf) = shelf {
                shelf.keep(instance);
            }
            Ok(())
        };
        Running::new(call, ticker, share, memory)
    }

    fn fresh(&self, share: Arc<Share>, name: Option<HeaderValue>) -> Start {
        let (handler, store) = (self.handler.clone(), self.store(share, name));
        Start::Fresh(handler, store, self.rewinder.clone())
    }

    /// An instance that has answered before: as it was when it was made, or as it is, as the operator wants it.
    fn resume(
        &self,
        mut instance: Instance,
        share: Arc<Share>,
        name: Option<HeaderValue>,
    ) -> Start {
        let rewinds = self.shelf.as_ref().is_some_and(|shelf| shelf.rewinds());
        if !rewinds {
            instance.renew(share, name);
            return Start::Kept(instance);
        }
        if let Err(error) = instance.rewind() {
            warning!("an instance cannot be put back, and another is made: {error}");
            return self.fresh(share, name);
        }
        instance.begin_anew(self.state(share, name));
        Start::Kept(instance)
    }

    /// Has an instance that was made without a host be one of this guest's.
    fn own(&self, instance: &mut Instance) {
        instance.begin_anew(self.state(Share::unlimited(), None));
        self.govern(instance.store_mut());
    }

    fn state(&self, share: Arc<Share>, name: Option<HeaderValue>) -> State {
        State::new(&self.granted, self.limits, share, name)
    }

    fn store(&self, share: Arc<Share>, name: Option<HeaderValue>) -> Store<State> {
        let mut store = Store::new(&self.engine, self.state(share, name));
        self.govern(&mut store);
        store
    }

    /// Has the guest of this store keep to its limits, and to its turns.
    fn govern(&self, store: &mut Store<State>) {
        store.limiter_async(State::limiter);
        store.set_hostcall_fuel(self.limits.each_call());
        store.set_epoch_deadline(1);
        let ticker = self.ticker.clone();
        store.epoch_deadline_callback(move |mut context| {
            let share = context.data().share().clone();
            state::charge(&share, &mut context)?;
            context.data().memory().check()?;
            if context.data().memory().worker().is_exceeded() {
                // Whether it goes on is asked before it is run again.
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(yield_now())));
            }
            if share.turn.goes_on(share.meter.spent()) {
                let look = Box::pin(async move { share.turn.look_up().await });
                return Ok(UpdateDeadline::YieldCustom(1, look));
            }
            ticker.hurry();
            let turn = Box::pin(async move { share.turn.next().await });
            Ok(UpdateDeadline::YieldCustom(1, turn))
        });
    }
}

/// Runs the guest until its head is there, and as far into its body as it gets without a pause.
fn poll_head(
    running: &mut Option<Running>,
    head: &HeadSlot,
    bodiless: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Response, Failure>> {
    let Some(guest) = running else {
        return Poll::Pending;
    };
    let polled = std::pin::Pin::new(guest).poll(cx);
    let response = match head.take() {
        Some(Ok(response)) => response,
        Some(Err(code)) => {
            let failure = match polled {
                Poll::Ready(Err(failure)) => failure,
                Poll::Ready(Ok(())) | Poll::Pending => Failure::ErrorCode(code),
            };
            return Poll::Ready(Err(failure));
        }
        None => return polled.map(|ended| ended.and(Err(Failure::NoResponse))),
    };
    let guest = match (running.take().map(Running::begins_body), polled) {
        (Some(running), Poll::Pending) => Behind::Running(running),
        // What it has handed over may be all of its answer.
        (Some(running), Poll::Ready(Err(failure))) => Behind::Failed {
            failure,
            _remains: running,
        },
        _ => Behind::Finished,
    };
    Poll::Ready(GuestBody::begin(response, guest, bodiless, cx))
}
