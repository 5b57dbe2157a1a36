//! A concurrent instance answers several requests at a time, where the operator has allowed that (WASI 0.3 only). It
//! runs in a task of its own, which requests are handed to; one that is busy without a pause gives them back.

mod lease;

pub use lease::Lease;

use super::call::{Request, RunningGuest, copy};
use super::handler::LinkedComponent;
use super::serial::{self, AnswerTask, Instance, Service};
use crate::guest::counts::Counts;
use crate::guest::failure::Failure;
use crate::guest::host::request_name::RequestName;
use crate::guest::host::state::HostState;
use crate::guest::limits::{GuestLimits, Reuse};
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::schedule::epoch::EpochThread;
use crate::guest::schedule::scheduler::Scheduler;
use crate::guest::schedule::task_budget::TaskBudget;
use crate::guest::snapshot::Restorer;
use crate::scoreboard::{DropReason, MadeReason};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep_until;
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiBody;

/// An instance that has not looked for requests in this many runs, one after another, computes without a pause. In one
/// or two it may only have had no luck: a time slice is so much of the clock's time, and on a busy machine it passes
/// while the worker has no processor.
const RUNS_WITHOUT_LOOK: u32 = 4;

/// `MakeStore` makes the store of a new instance.
pub type MakeStore<'a> = &'a dyn Fn(Arc<CpuShare>) -> NewInstance;

/// A `NewInstance` is not made yet.
pub struct NewInstance {
    pub handler: LinkedComponent,
    pub store: Store<HostState>,
    /// Instances begin as this has them, where they can be restored.
    pub restorer: Option<Arc<Restorer>>,
}

/// `ConcurrentInstances` holds the concurrent instances of one worker.
pub struct ConcurrentInstances {
    limits: GuestLimits,
    epoch_thread: Arc<EpochThread>,
    scheduler: Scheduler,
    counts: Arc<Counts>,
    instances: RefCell<Vec<(Rc<ConcurrentInstance>, JoinHandle<()>)>>,
}

/// A `ConcurrentInstance` is shared by the instance's task and by the requests that wait for it.
struct ConcurrentInstance {
    reuse: Reuse,
    waiting: RefCell<VecDeque<Job>>,
    /// The instance was given this many requests.
    taken: Cell<u64>,
    open: Cell<usize>,
    /// The instance has had no request since then.
    rests: Cell<Instant>,
    /// The instance was run this often since it last looked for requests: a guest that runs without a pause does not.
    runs_since_look: Cell<u32>,
    /// The instance gets no further requests: a client has left one of them, or it has ended.
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The instance ended for this reason.
    lost: RefCell<Option<LostInstance>>,
}

/// A `LostInstance` says why an instance ended.
#[derive(Clone)]
enum LostInstance {
    NoRoom,
    Failed(String),
}

/// A `Job` is a request on its way into an instance.
pub struct Job {
    pub request: Request,
    pub name: Option<RequestName>,
    pub budget: Arc<TaskBudget>,
    pub reply: oneshot::Sender<Reply>,
}

pub enum Reply {
    Head(Result<http::Response<WasiBody>, Failure>),
    /// The instance had no time for the request.
    Untaken(Request),
}

impl ConcurrentInstances {
    /// Returns `None` where an instance answers one request at a time.
    pub fn new(
        limits: GuestLimits,
        epoch_thread: &Arc<EpochThread>,
        scheduler: &Scheduler,
        counts: &Arc<Counts>,
    ) -> Option<ConcurrentInstances> {
        (limits.reuse.concurrency > 1).then(|| ConcurrentInstances {
            limits,
            epoch_thread: epoch_thread.clone(),
            scheduler: scheduler.clone(),
            counts: counts.clone(),
            instances: RefCell::default(),
        })
    }

    /// Has one of the instances answer, and resolves with the head and a lease for the body.
    pub async fn answer(
        &self,
        make: MakeStore<'_>,
        mut request: Request,
    ) -> Result<(http::Response<WasiBody>, Lease), Failure> {
        let name = RequestName::of(&request);
        let mut again = copy(&request);
        let mut alone = false;
        loop {
            let trace = name.as_ref().and_then(|name| name.trace.clone());
            let budget = Arc::new(TaskBudget::new(self.limits.cpu, trace));
            let (reply, answer) = oneshot::channel();
            let mut lease = Lease::new(self.instance(make, alone).await, budget.clone());
            lease.instance.offer(Job {
                request,
                name: name.clone(),
                budget,
                reply,
            });
            match answer.await {
                Ok(Reply::Head(head)) => {
                    lease.is_answered = true;
                    return head.map(|response| (response, lease));
                }
                Ok(Reply::Untaken(untaken)) => {
                    lease.is_answered = true;
                    request = untaken;
                }
                // Another may be to blame, and by itself this one shows whether it is.
                Err(_) => match (lease.failure(), again.take()) {
                    (Failure::Lost(_), Some(again)) => (request, alone) = (again, true),
                    (failure, _) => return Err(failure),
                },
            }
        }
    }

    /// Finds an instance that can take a request: the one that has the most of them, so that others become idle.
    async fn instance(&self, make: MakeStore<'_>, alone: bool) -> Rc<ConcurrentInstance> {
        self.instances
            .borrow_mut()
            .retain(|(_, task)| !task.is_finished());
        let best = {
            let instances = self.instances.borrow();
            let instances = instances.iter().map(|(instance, _)| instance);
            let open = instances.filter(|instance| !alone && instance.has_room());
            open.max_by_key(|instance| instance.open.get()).cloned()
        };
        match best {
            Some(instance) => instance,
            None => {
                self.make_room().await;
                let instance = self.start(make);
                instance.closed.set(alone);
                instance
            }
        }
    }

    /// Ends an idle instance where there may be no more of them. Admission has let this request in, so there is one.
    async fn make_room(&self) {
        let idle = {
            let mut instances = self.instances.borrow_mut();
            let full = instances.len() >= self.limits.instances as usize;
            let idle = instances
                .iter()
                .position(|(instance, _)| instance.open.get() == 0);
            idle.filter(|_| full)
                .map(|index| instances.swap_remove(index))
        };
        if let Some((instance, task)) = idle {
            instance.closed.set(true);
            task.abort();
            let _ = task.await;
        }
    }

    /// Ends the instances that are idle.
    pub fn relieve(&self) {
        let instances = self.instances.borrow();
        for (instance, _) in instances
            .iter()
            .filter(|(instance, _)| instance.open.get() == 0)
        {
            instance.closed.set(true);
            instance.wake();
        }
    }

    fn start(&self, make: MakeStore<'_>) -> Rc<ConcurrentInstance> {
        let instance = Rc::new(ConcurrentInstance::new(self.limits.reuse));
        // What its requests burn is on their accounts.
        let share = CpuShare::new(Duration::MAX, &self.scheduler);
        let new = make(share.clone());
        let memory = new.store.data().memory().clone();
        let guest = answer_all(new, instance.clone(), self.counts.clone());
        let running = RunningGuest::new(guest, self.epoch_thread.clone(), share, memory);
        let task = spawn_local(run(running, instance.clone()));
        self.instances.borrow_mut().push((instance.clone(), task));
        instance
    }
}

impl ConcurrentInstance {
    fn new(reuse: Reuse) -> ConcurrentInstance {
        ConcurrentInstance {
            reuse,
            waiting: RefCell::default(),
            taken: Cell::new(0),
            open: Cell::new(0),
            rests: Cell::new(Instant::now()),
            runs_since_look: Cell::new(0),
            closed: Cell::new(false),
            waker: RefCell::default(),
            lost: RefCell::default(),
        }
    }

    fn has_room(&self) -> bool {
        !self.is_retired() && self.looks() && self.open.get() < self.reuse.concurrency
    }

    fn looks(&self) -> bool {
        self.runs_since_look.get() < RUNS_WITHOUT_LOOK
    }

    fn is_retired(&self) -> bool {
        self.closed.get() || self.taken.get() >= self.reuse.requests
    }

    fn offer(&self, job: Job) {
        self.taken.set(self.taken.get() + 1);
        self.waiting.borrow_mut().push_back(job);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Gives back the requests that the instance has no time for.
    fn give_back(&self) {
        for job in self.waiting.take() {
            self.taken.set(self.taken.get() - 1);
            let _ = job.reply.send(Reply::Untaken(job.request));
        }
    }

    /// Says until when an idle instance waits for a further request.
    fn rests_until(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.rests.get() + self.reuse.idle)
    }
}

/// Runs an instance until it is of no more use.
async fn run(running: RunningGuest, instance: Rc<ConcurrentInstance>) {
    let mut running = pin!(running);
    let mut idle = pin!(sleep_until((Instant::now() + instance.reuse.idle).into()));
    let ended = poll_fn(|cx| {
        instance.waker.replace(Some(cx.waker().clone()));
        if instance.closed.get() && instance.open.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        let runs = instance.runs_since_look.get();
        instance.runs_since_look.set(runs.saturating_add(1));
        let polled = running.as_mut().poll(cx);
        if polled.is_ready() {
            return polled;
        }
        if !instance.looks() {
            instance.give_back();
        }
        let Some(until) = instance.rests_until() else {
            return Poll::Pending;
        };
        if idle.deadline().into_std() != until {
            idle.as_mut().reset(until.into());
        }
        idle.as_mut().poll(cx).map(Ok)
    });
    let ended = ended.await;
    instance.closed.set(true);
    if let Err(failure) = ended {
        instance.lost.replace(Some(match failure {
            Failure::NoRoom => LostInstance::NoRoom,
            failure => LostInstance::Failed(failure.to_string()),
        }));
    }
    instance.give_back();
}

/// Answers requests until no more are to come.
async fn answer_all(
    new: NewInstance,
    instance: Rc<ConcurrentInstance>,
    counts: Arc<Counts>,
) -> Result<(), Failure> {
    let NewInstance {
        handler,
        store,
        restorer,
    } = new;
    let made = Instance::service(&handler, store, restorer.as_ref());
    let (service, mut store) = Box::pin(made).await?;
    let mut life = counts.made(MadeReason::Concurrent);
    // What runs until it is of no more use is dropped when it is idle.
    life.would_end(DropReason::Idle);
    let answers = async |accessor: &Accessor<HostState>| {
        poll_fn(|cx| poll_answers(&instance, &service, accessor, cx)).await
    };
    let ended = store.run_concurrent(answers).await.flatten();
    life.would_end(match ended {
        Ok(()) => DropReason::Finished,
        Err(_) => DropReason::Failed,
    });
    ended.map_err(|error| serial::trapped(error, &mut store))
}

fn poll_answers(
    instance: &ConcurrentInstance,
    service: &Arc<Service>,
    accessor: &Accessor<HostState>,
    cx: &mut Context<'_>,
) -> Poll<wasmtime::Result<()>> {
    instance.runs_since_look.set(0);
    for job in instance.waiting.take() {
        accessor.spawn(AnswerTask::new(service.clone(), job))?;
    }
    if instance.is_retired() && instance.open.get() == 0 {
        return accessor.poll_no_interesting_tasks(cx).map(Ok);
    }
    Poll::Pending
}
