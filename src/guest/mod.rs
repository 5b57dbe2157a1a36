//! This room runs guests: it is the only one that uses the engine. It knows requests and responses as values, and
//! nothing of connections, processes and their supervision.

mod compile;
mod component;
mod core_dump;
mod counts;
#[cfg(any(test, feature = "fuzzing"))]
mod differential;
mod engine;
mod failure;
mod host;
mod inspect;
mod instance;
mod limits;
mod memory;
mod observed;
mod profile;
mod publish;
mod recording;
mod replay;
mod run;
mod schedule;
mod snapshot;
mod startup;
pub mod websocket;

pub use compile::{CompileProgress, CompileRequest, Occasion, PrimeRequest, Priming, precompile};
pub use core_dump::CoreDumps;
#[cfg(any(test, feature = "fuzzing"))]
pub use differential::{compare as compare_restored_with_fresh, scan_any_bytes};
pub use engine::Effort;
pub use failure::Failure;
pub use host::capabilities::Capabilities;
pub use host::directories::Directory;
pub use host::keyvalue::StoreLocation;
pub use host::network::{Rule, Rules};
pub use host::outbound;
pub use host::postgres::{DatabaseUrl, PostgresSettings};
pub use host::sqlite::SqliteSettings;
pub use host::stuck::is_stuck;
pub use inspect::inspect;
pub use instance::body::{GuestBody, is_bodiless};
pub use instance::call::Request;
pub use instance::loaded::Loaded;
pub use limits::{GuestLimits, Reuse};
pub use profile::ProfileSettings;
pub use publish::published;
#[cfg(any(test, feature = "fuzzing"))]
pub use recording::fuzzing::recording as read_any_recording;
pub use recording::{Recorder, Recording, Settings as RecordingSettings};
pub use replay::{Replayed, replay};
pub use wasmtime_wasi_http::Error as BodyError;

use crate::scoreboard::{DropReason, MadeReason, Slot};
use crate::sys::heap;
use crate::warning;
use anyhow::{Context as _, Result};
use counts::Counts;
use failure::NoRoom;
use host::capabilities::Granted;
use host::request_name::RequestName;
use host::state::{self, HostState};
use host::websocket::OpenWebSockets;
use instance::body::{Producer, poll_head};
use instance::call::{copy, is_repeatable};
use instance::concurrent::{ConcurrentInstances, NewInstance};
use instance::handler::LinkedComponent;
use instance::pool::InstancePool;
use instance::serial::{Instance, InstanceSource};
use memory::worker::WorkerMemory;
use profile::Profiles;
use recording::{Recordings, Start};
use schedule::cpu_share::CpuShare;
use schedule::epoch::EpochThread;
use schedule::scheduler::Scheduler;
use snapshot::Restorer;
use startup::Exported;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use wasmtime::{Engine, Store, UpdateDeadline};

/// A guest answers with a head and a body.
pub type Response = http::Response<GuestBody>;

/// A `Guest` is a component that this process can call.
pub struct Guest {
    engine: Engine,
    handler: LinkedComponent,
    exported: Exported,
    /// Instances serve these WebSockets now.
    websockets: OpenWebSockets,
    limits: GuestLimits,
    counts: Arc<Counts>,
    granted: Arc<Granted>,
    epoch_thread: Arc<EpochThread>,
    scheduler: Scheduler,
    /// The restorer puts instances back between two requests, where the component allows it.
    restorer: Option<Arc<Restorer>>,
    /// The pool is `None` where every request gets an instance that is made for it.
    pool: Option<Arc<InstancePool>>,
    /// The set is `None` where an instance answers one request at a time.
    concurrent: Option<ConcurrentInstances>,
    /// Requests that fail are recorded, where the operator wants that.
    recordings: Option<Arc<Recordings>>,
    /// Where guests spend their time is noted there, while the operator wants that.
    profiles: Profiles,
}

impl Guest {
    /// Opens what guests may use, and starts to keep count of their memory.
    pub fn new(loaded: Loaded) -> Result<Guest> {
        let Loaded {
            engine,
            handler,
            exported,
            limits,
            capabilities,
            restorer,
            first,
            component,
        } = loaded;
        // What it was seeded with before a fork, others have too.
        rand::rng().reseed().context("there is no randomness")?;
        if let Some(restorer) = &restorer {
            restorer.settle();
        }
        let given = replay::given(component, &capabilities, limits, restorer.as_deref());
        let start = restorer.as_ref().and_then(|it| Start::parse(it.start()));
        let recordings = Recordings::open(capabilities.recordings.clone(), given, start);
        let profiles = Profiles::new(capabilities.profile.clone(), handler.component())?;
        let epoch_thread = Arc::new(EpochThread::new(&engine));
        let scheduler = Scheduler::default();
        let (most, each, timeout) = (limits.worker_memory, limits.memory, limits.memory_timeout);
        let memory = match limits.sharers {
            Some(workers) => WorkerMemory::shared(most, each, timeout, workers),
            None => WorkerMemory::bounded(most, each, timeout),
        };
        let counts = Arc::new(Counts::default());
        let guest = Guest {
            granted: Granted::open(capabilities, memory, &counts)?,
            pool: InstancePool::new(limits.reuse, restorer.is_some(), exported.bridge, &counts),
            concurrent: ConcurrentInstances::new(limits, &epoch_thread, &scheduler, &counts),
            counts,
            engine,
            handler,
            exported,
            websockets: OpenWebSockets::default(),
            limits,
            epoch_thread,
            scheduler,
            restorer,
            recordings,
            profiles,
        };
        if let (Some(pool), Some(mut first)) = (&guest.pool, first) {
            guest.own(&mut first);
            first.live(guest.counts.made(MadeReason::Start));
            pool.put(first);
        }
        guest.watch_memory();
        Ok(guest)
    }

    /// Starts the thread that interrupts guests.
    pub fn start_clock(&self) -> Result<()> {
        self.profiles.start()?;
        self.epoch_thread.start(self.granted.memory().clone())
    }

    /// Waits until what requests have left in databases is gone, and closes the connections.
    pub async fn end(&self) {
        self.granted.postgres().end().await;
    }

    /// Takes what was counted of instances and of requests that guests sent over into the slot of this worker.
    pub fn publish_counts(&self, slot: &Slot) {
        self.counts.publish(slot);
        if let Some((number, made)) = self.profiles.made() {
            slot.has_profiled(number, made);
        }
    }

    /// Makes a profile by the command of this number, for this long.
    pub fn make_profile(&self, number: u32, time: Duration) {
        self.profiles.make(number, time);
    }

    /// Notes the number of workers, which share the memory where the operator has not said what each may have.
    pub fn share_memory(&self, workers: NonZeroUsize) {
        self.granted.memory().share_among(workers);
    }

    /// Interrupts guests that take too much memory, and drops instances that nobody uses while there is too little.
    fn watch_memory(&self) {
        let engine = self.engine.weak();
        heap::on_excess(move || {
            if let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
            }
        });
        if let Some(pool) = &self.pool {
            let pool = Arc::downgrade(pool);
            self.granted.memory().on_need(move || {
                if let Some(pool) = pool.upgrade() {
                    pool.clear(DropReason::Memory);
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
        self.websockets.relieve();
        memory.admit().await.map_err(|NoRoom| Failure::NoRoom)
    }

    /// Begins to record `request`, where the operator wants that. Whoever limits its time tells the recorder when it is
    /// up.
    pub fn record(&self, request: &mut Request) -> Option<Arc<Recorder>> {
        let recordings = self.recordings.as_ref();
        recordings.map(|recordings| Recorder::begin(recordings, request))
    }

    /// Has an instance answer `request`, and resolves when that has given the head of its response.
    pub async fn answer(&self, request: Request) -> Result<Response, Failure> {
        self.admit().await?;
        if let Some(concurrent) = &self.concurrent {
            return Box::pin(self.answer_beside(concurrent, request)).await;
        }
        let share = self.begin().await;
        let kept = self
            .pool
            .as_ref()
            .and_then(|pool| Some((pool, pool.take(is_repeatable(&request))?)));
        let Some((pool, instance)) = kept else {
            return self.answer_with(None, share, request).await;
        };
        if pool.restores() || instance.is_new() {
            return self.answer_with(Some(instance), share, request).await;
        }
        let again = copy(&request);
        let answered = self.answer_with(Some(instance), share, request).await;
        if answered.is_ok() {
            pool.prove();
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
            pool.spoil();
        }
        answered
    }

    /// Has an instance answer `request` that may be answering others as well.
    async fn answer_beside(
        &self,
        concurrent: &ConcurrentInstances,
        request: Request,
    ) -> Result<Response, Failure> {
        let bodiless = request.method() == http::Method::HEAD;
        let make = |share| NewInstance {
            handler: self.handler.clone(),
            store: self.store(share, None),
            restorer: self.restorer.clone(),
        };
        let (response, lease) = concurrent.answer(&make, request).await?;
        let mut begun = Some((response, Producer::Concurrent(lease)));
        let begin = |cx: &mut Context<'_>| match begun.take() {
            Some((response, guest)) => Poll::Ready(GuestBody::begin(response, guest, bodiless, cx)),
            None => Poll::Pending,
        };
        poll_fn(begin).await
    }

    /// Waits until the scheduler lets another guest begin.
    async fn begin(&self) -> Arc<CpuShare> {
        let share = CpuShare::new(self.limits.cpu, &self.scheduler);
        share.slice.begin().await;
        share
    }

    async fn answer_with(
        &self,
        instance: Option<Instance>,
        share: Arc<CpuShare>,
        request: Request,
    ) -> Result<Response, Failure> {
        let recorder: Option<Arc<Recorder>> = request.extensions().get().cloned();
        let bodiless = request.method() == http::Method::HEAD;
        let (sender, mut head) = oneshot::channel();
        let mut running = Some(self.start(instance, share, request, sender));
        let answered = poll_fn(|cx| poll_head(&mut running, &mut head, bodiless, cx)).await;
        if let (Some(recorder), Err(failure)) = (recorder, &answered) {
            recorder.keep(failure);
        }
        answered
    }

    fn fresh(&self, share: Arc<CpuShare>, name: Option<RequestName>) -> InstanceSource {
        let (handler, store) = (self.handler.clone(), self.store(share, name));
        InstanceSource::Fresh(handler, store, self.restorer.clone())
    }

    /// Prepares an instance from the pool for another request: it is restored, or kept as the last request left it
    /// where the operator wants that.
    fn resume(
        &self,
        mut instance: Instance,
        share: Arc<CpuShare>,
        name: Option<RequestName>,
    ) -> InstanceSource {
        let restores = self.pool.as_ref().is_some_and(|pool| pool.restores());
        let stands_in = instance.begins_to_stand_in();
        if !restores && !stands_in {
            if !instance.is_new() {
                self.counts.reused();
            }
            instance.would_end(DropReason::Abandoned);
            instance.renew(share, name);
            return InstanceSource::Kept(instance);
        }
        if let Err(error) = instance.reset() {
            instance.would_end(DropReason::RestoreFailed);
            warning!("an instance cannot be restored, and another is made: {error}");
            return self.fresh(share, name);
        }
        if stands_in || !instance.is_new() {
            self.counts.restored();
        }
        instance.would_end(DropReason::Abandoned);
        instance.begin_anew(self.state(share, name));
        InstanceSource::Kept(instance)
    }

    /// Gives an instance that was made before the fork a host, so that it belongs to this process.
    fn own(&self, instance: &mut Instance) {
        instance.begin_anew(self.state(CpuShare::unlimited(), None));
        self.govern(instance.store_mut());
    }

    fn state(&self, share: Arc<CpuShare>, name: Option<RequestName>) -> HostState {
        HostState::new(&self.granted, self.limits, share, name)
    }

    fn store(&self, share: Arc<CpuShare>, name: Option<RequestName>) -> Store<HostState> {
        let mut store = Store::new(&self.engine, self.state(share, name));
        self.govern(&mut store);
        store
    }

    /// Sets the limits of a store, and what happens when the epoch thread interrupts its guest.
    fn govern(&self, store: &mut Store<HostState>) {
        store.limiter_async(HostState::limiter);
        store.set_hostcall_fuel(self.limits.each_call());
        store.set_epoch_deadline(1);
        let epoch_thread = self.epoch_thread.clone();
        let profile = self.profiles.profile().clone();
        store.epoch_deadline_callback(move |mut context| {
            if profile.sample(&context) {
                epoch_thread.shorten_ticks();
            }
            let share = context.data().share().clone();
            state::charge(&share, &mut context)?;
            context.data().memory().check()?;
            if context.data().memory().worker().is_exceeded() {
                // Whether it goes on is asked before it is run again.
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(yield_now())));
            }
            if share.slice.may_continue(share.budget.spent()) {
                let look = Box::pin(async move { share.slice.yield_and_continue().await });
                return Ok(UpdateDeadline::YieldCustom(1, look));
            }
            epoch_thread.shorten_ticks();
            let slice = Box::pin(async move { share.slice.wait_for_slice().await });
            Ok(UpdateDeadline::YieldCustom(1, slice))
        });
    }
}
