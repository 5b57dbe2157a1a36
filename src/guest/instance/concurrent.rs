//! Instances that answer several requests at a time, where the operator has allowed that (WASI 0.3 only). Each
//! runs in a task of its own, which requests are handed to; one that is busy without a pause gives them back.

use super::call::{Request, Running, copy};
use super::handler::Handler;
use super::serial::{self, Answer, Instance, Service};
use crate::guest::failure::Failure;
use crate::guest::host::state::State;
use crate::guest::limits::{Limits, Reuse};
use crate::guest::schedule::epoch::Ticker;
use crate::guest::schedule::share::Share;
use crate::guest::schedule::task_budget::Account;
use crate::guest::schedule::time_slice::Turns;
use http::HeaderValue;
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

/// What a further instance is made of.
pub type Make<'a> = &'a dyn Fn(Arc<Share>) -> (Handler, Store<State>);

/// Those of one worker.
pub struct Concurrent {
    limits: Limits,
    ticker: Arc<Ticker>,
    turns: Turns,
    lines: RefCell<Vec<(Rc<Line>, JoinHandle<()>)>>,
}

/// One instance, as those see it that have a request for it.
struct Line {
    reuse: Reuse,
    waiting: RefCell<VecDeque<Job>>,
    /// Requests that were handed over, and those whose answers are not over.
    taken: Cell<u64>,
    open: Cell<usize>,
    /// Since when none is.
    rests: Cell<Instant>,
    /// Whether it looked for requests when it was last run: a guest that runs without a pause does not.
    looks: Cell<bool>,
    /// It is given no further requests: one of them was not waited for, or it has ended.
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Why it ended, for those whose answers had begun.
    lost: RefCell<Option<Loss>>,
}

/// Why an instance ended.
#[derive(Clone)]
enum Loss {
    NoRoom,
    Failed(String),
}

/// A request on its way into an instance.
pub struct Job {
    pub request: Request,
    pub name: Option<HeaderValue>,
    pub account: Arc<Account>,
    pub reply: oneshot::Sender<Reply>,
}

pub enum Reply {
    Head(Result<http::Response<WasiBody>, Failure>),
    /// The instance had no time for it.
    Untaken(Request),
}

/// A request's hold on the instance that answers it, until the answer is over.
pub struct Ticket {
    line: Rc<Line>,
    account: Arc<Account>,
    is_answered: bool,
}

impl Concurrent {
    /// None where an instance answers one request at a time.
    pub fn new(limits: Limits, ticker: &Arc<Ticker>, turns: &Turns) -> Option<Concurrent> {
        (limits.reuse.concurrency > 1).then(|| Concurrent {
            limits,
            ticker: ticker.clone(),
            turns: turns.clone(),
            lines: RefCell::default(),
        })
    }

    /// Has one of the instances answer; resolves with the head, and with the hold on what is to follow.
    pub async fn answer(
        &self,
        make: Make<'_>,
        mut request: Request,
    ) -> Result<(http::Response<WasiBody>, Ticket), Failure> {
        let name = request.headers().get("x-request-id").cloned();
        let mut again = copy(&request);
        let mut alone = false;
        loop {
            let account = Arc::new(Account::new(self.limits.cpu));
            let (reply, answer) = oneshot::channel();
            let mut ticket = Ticket::new(self.line(make, alone).await, account.clone());
            ticket.line.offer(Job {
                request,
                name: name.clone(),
                account,
                reply,
            });
            match answer.await {
                Ok(Reply::Head(head)) => {
                    ticket.is_answered = true;
                    return head.map(|response| (response, ticket));
                }
                Ok(Reply::Untaken(untaken)) => {
                    ticket.is_answered = true;
                    request = untaken;
                }
                // Another may be to blame, and by itself this one shows whether it is.
                Err(_) => match (ticket.failure(), again.take()) {
                    (Failure::Lost(_), Some(again)) => (request, alone) = (again, true),
                    (failure, _) => return Err(failure),
                },
            }
        }
    }

    /// An instance that can take a request: the one that has the most of them, so that others come to rest.
    async fn line(&self, make: Make<'_>, alone: bool) -> Rc<Line> {
        self.lines
            .borrow_mut()
            .retain(|(_, task)| !task.is_finished());
        let best = {
            let lines = self.lines.borrow();
            let lines = lines.iter().map(|(line, _)| line);
            let open = lines.filter(|line| !alone && line.has_room());
            open.max_by_key(|line| line.open.get()).cloned()
        };
        match best {
            Some(line) => line,
            None => {
                self.make_room().await;
                let line = self.start(make);
                line.closed.set(alone);
                line
            }
        }
    }

    /// Ends one that answers nobody where there may be no more: as there is a seat for this request, there is one.
    async fn make_room(&self) {
        let idle = {
            let mut lines = self.lines.borrow_mut();
            let full = lines.len() >= self.limits.instances as usize;
            let idle = lines.iter().position(|(line, _)| line.open.get() == 0);
            idle.filter(|_| full).map(|index| lines.swap_remove(index))
        };
        if let Some((line, task)) = idle {
            line.closed.set(true);
            task.abort();
            let _ = task.await;
        }
    }

    /// Ends those that answer nobody.
    pub fn relieve(&self) {
        let lines = self.lines.borrow();
        for (line, _) in lines.iter().filter(|(line, _)| line.open.get() == 0) {
            line.closed.set(true);
            line.wake();
        }
    }

    fn start(&self, make: Make<'_>) -> Rc<Line> {
        let line = Rc::new(Line::new(self.limits.reuse));
        // What its requests burn is on their accounts.
        let share = Share::new(Duration::MAX, &self.turns);
        let (handler, store) = make(share.clone());
        let memory = store.data().memory().clone();
        let guest = answer_all(handler, store, line.clone());
        let running = Running::new(guest, self.ticker.clone(), share, memory);
        let task = spawn_local(run(running, line.clone()));
        self.lines.borrow_mut().push((line.clone(), task));
        line
    }
}

impl Line {
    fn new(reuse: Reuse) -> Line {
        Line {
            reuse,
            waiting: RefCell::default(),
            taken: Cell::new(0),
            open: Cell::new(0),
            rests: Cell::new(Instant::now()),
            looks: Cell::new(true),
            closed: Cell::new(false),
            waker: RefCell::default(),
            lost: RefCell::default(),
        }
    }

    fn has_room(&self) -> bool {
        !self.is_retired() && self.looks.get() && self.open.get() < self.reuse.concurrency
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

    /// Gives back what it has no time for.
    fn give_back(&self) {
        for job in self.waiting.take() {
            self.taken.set(self.taken.get() - 1);
            let _ = job.reply.send(Reply::Untaken(job.request));
        }
    }

    /// When it has waited for long enough for a further request.
    fn rests_until(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.rests.get() + self.reuse.idle)
    }
}

impl Ticket {
    fn new(line: Rc<Line>, account: Arc<Account>) -> Ticket {
        line.open.set(line.open.get() + 1);
        Ticket {
            line,
            account,
            is_answered: false,
        }
    }

    /// Why the instance is gone.
    fn failure(&self) -> Failure {
        if self.account.is_exhausted() {
            return Failure::OutOfTime;
        }
        match self.line.lost.borrow().clone() {
            Some(Loss::NoRoom) => Failure::NoRoom,
            Some(Loss::Failed(why)) => Failure::Lost(why),
            None => Failure::Lost("it was ended".to_owned()),
        }
    }

    /// The same, where it is gone.
    pub fn lost(&self) -> Option<Failure> {
        self.line.lost.borrow().is_some().then(|| self.failure())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let line = &self.line;
        self.account.close();
        line.open.set(line.open.get() - 1);
        line.rests.set(Instant::now());
        if !self.is_answered {
            // Nobody can make a guest stop answering one request and go on with the others.
            line.closed.set(true);
        }
        line.wake();
    }
}

/// Runs an instance until it is of no more use.
async fn run(running: Running, line: Rc<Line>) {
    let mut running = pin!(running);
    let mut idle = pin!(sleep_until((Instant::now() + line.reuse.idle).into()));
    let ended = poll_fn(|cx| {
        line.waker.replace(Some(cx.waker().clone()));
        if line.closed.get() && line.open.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        line.looks.set(false);
        let polled = running.as_mut().poll(cx);
        if polled.is_ready() {
            return polled;
        }
        if !line.looks.get() {
            line.give_back();
        }
        let Some(until) = line.rests_until() else {
            return Poll::Pending;
        };
        if idle.deadline().into_std() != until {
            idle.as_mut().reset(until.into());
        }
        idle.as_mut().poll(cx).map(Ok)
    });
    let ended = ended.await;
    line.closed.set(true);
    if let Err(failure) = ended {
        line.lost.replace(Some(match failure {
            Failure::NoRoom => Loss::NoRoom,
            failure => Loss::Failed(failure.to_string()),
        }));
    }
    line.give_back();
}

/// Answers what comes, until nothing more is to come.
async fn answer_all(handler: Handler, store: Store<State>, line: Rc<Line>) -> Result<(), Failure> {
    let (service, mut store) = Instance::service(&handler, store).await?;
    let answers = async |accessor: &Accessor<State>| {
        poll_fn(|cx| poll_answers(&line, &service, accessor, cx)).await
    };
    let ended = store.run_concurrent(answers).await;
    ended
        .flatten()
        .map_err(|error| serial::trapped(error, &store))
}

fn poll_answers(
    line: &Line,
    service: &Arc<Service>,
    accessor: &Accessor<State>,
    cx: &mut Context<'_>,
) -> Poll<wasmtime::Result<()>> {
    line.looks.set(true);
    for job in line.waiting.take() {
        accessor.spawn(Answer::new(service.clone(), job))?;
    }
    if line.is_retired() && line.open.get() == 0 {
        return accessor.poll_no_interesting_tasks(cx).map(Ok);
    }
    Poll::Pending
}
