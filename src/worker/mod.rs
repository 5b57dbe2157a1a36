//! This room is one worker process: it accepts, serves, says that it is alive, and leaves when told. It knows nothing
//! of its siblings but their slots of the scoreboard.

mod accept;
mod balance;
mod connection_count;
mod leave;
mod siblings;
mod usage;

use crate::channel::ProfileRequest;
use crate::connection::{
    self, ConnectionList, Connections, ListenerKind, Unsent, WorkerShutdown, WriteBatcher,
};
use crate::exit::{Exit, Status};
use crate::guest::{self, Guest};
use crate::request::{self, Requests};
use crate::sandbox::{Role, Sandbox};
use crate::scoreboard::{Scoreboard, Slot, SlotRef};
use crate::sys::socket::Listening;
use crate::sys::{clock, memory, process};
use crate::{trace, warning};
use accept::Acceptor;
use anyhow::{Context, Result};
use connection_count::ConnectionCount;
use leave::{ShutdownMode, ShutdownSignals};
use siblings::Siblings;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::{Instant, interval, timeout_at};
use usage::Usage;

/// What goes on in threads when the worker ends, such as a write, has this long to end.
const THREADS_END: Duration = Duration::from_secs(1);

/// `Settings` says how a worker serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests in flight may go on for this long when the worker is to leave.
    pub graceful_shutdown: Duration,
    /// The serving loop says this often that it is alive.
    pub heartbeat: Duration,
    /// The worker is kept to this.
    pub sandbox: Arc<Sandbox>,
    pub connection: connection::Settings,
    pub request: request::Settings,
}

/// A `Worker` has everything that it is given.
pub struct Worker {
    /// There is none where only those answer who are mounted.
    pub guest: Option<Guest>,
    pub settings: Settings,
    /// TLS is spoken with this, where it is.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The worker accepts from these, and speaks on the connections of each like this.
    pub listeners: Vec<(Listening, ListenerKind)>,
    /// The worker connects to the mounted servers by these, which are in the order of the settings' mounts.
    pub mounts: Vec<OwnedFd>,
    pub scoreboard: Rc<Scoreboard>,
    /// The worker has the slot of the scoreboard with this index.
    pub slot: usize,
    /// The lifeline can be read at its end, which is when the supervisor is gone.
    pub lifeline: OwnedFd,
    /// The worker calls this once, when it can serve.
    pub ready: Box<dyn FnOnce()>,
    /// The worker calls this once, where something goes on in it that nothing ends.
    pub stuck: Box<dyn FnOnce()>,
    /// The worker calls this once, after this many requests.
    pub spent: Option<(u64, Box<dyn FnOnce()>)>,
}

impl Worker {
    /// Serves until it is told to leave.
    pub fn run(self) -> Result<()> {
        let descriptors = process::raise_descriptor_limit();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the serving loop")?;
        let served = runtime.block_on(self.serve(descriptors));
        // Whoever has begun something in a thread is gone, and it may take for ever.
        runtime.shutdown_timeout(THREADS_END);
        served
    }

    /// Opens what is shared with others before the sandbox is entered, where it cannot be duplicated, and serves.
    async fn serve(mut self, descriptors: Option<u64>) -> Result<()> {
        let slot = SlotRef::new(self.scoreboard.clone(), self.slot);
        let open = Rc::new(ConnectionCount::new(slot.clone()));
        let siblings = Siblings::new(self.scoreboard.clone(), self.slot);
        let mut acceptors = Vec::new();
        for (listener, kind) in std::mem::take(&mut self.listeners) {
            let acceptor = Acceptor::new(&listener, siblings.clone(), open.clone())?;
            acceptors.push((acceptor, kind));
        }
        if self.settings.request.tracing.is_some_and(|it| it.exports) {
            trace::begin_recording(slot.clone());
        }
        let requests = Requests::new(self.guest, self.settings.request, slot.clone(), self.mounts)?;
        let usage = Usage::open();
        enter_sandbox(&self.settings.sandbox, self.slot)?;
        requests.start_clock()?;
        let requests = Rc::new(requests);
        leave::never_outlive(self.lifeline.try_clone()?, self.settings.graceful_shutdown)?;
        let mut reasons = ShutdownSignals::new(self.lifeline)?;
        let write_batcher = Rc::new(WriteBatcher::default());
        tokio::select! {
            biased;
            started = requests.start_application() => started.exits(Status::Application)?,
            _ = reasons.next() => return Ok(()),
        }
        let mut settings = self.settings.connection;
        settings.connections = within(descriptors, settings.connections, self.slot);
        let connections = Rc::new(Connections {
            requests: requests.clone(),
            settings,
            tls: self.tls,
            shutdown: WorkerShutdown::default(),
            write_batcher: write_batcher.clone(),
            list: ConnectionList::default(),
            unsent: Rc::new(Unsent::default()),
        });
        let accepting = acceptors
            .into_iter()
            .map(|(acceptor, kind)| accept(acceptor, kind, connections.clone(), open.clone()));
        let accepting: Vec<_> = accepting.map(spawn_local).collect();
        spawn_local(async move { write_batcher.run().await });
        let period = self.settings.heartbeat;
        spawn_local(beat(slot.clone(), usage, requests.clone(), period));
        spawn_local(watch_threads(self.settings.heartbeat, self.stuck));
        if let Some((limit, spent)) = self.spent {
            spawn_local(watch_limit(slot.clone(), limit, spent));
        }
        (self.ready)();
        let leave = reasons.next().await;
        for task in accepting {
            task.abort();
        }
        if let ShutdownMode::After { idle } = leave {
            let deadline = Instant::now() + self.settings.graceful_shutdown;
            connections.shutdown.begin(idle, deadline.into());
            let done = async {
                open.none().await;
                requests.end().await;
            };
            tokio::select! {
                _ = timeout_at(deadline, done) => {}
                () = reasons.at_once() => {}
            }
        }
        requests.publish_counts();
        Ok(())
    }
}

/// Enters the sandbox before there is a second thread: each has a sandbox of its own.
fn enter_sandbox(sandbox: &Sandbox, slot: usize) -> Result<()> {
    let missing = sandbox.enter(Role::Worker)?;
    if slot == 0 && !missing.is_empty() {
        warning!(
            "the kernel has no {}: workers are less confined than they could be",
            missing.join(" and no ")
        );
    }
    Ok(())
}

/// Gives the number of connections that there may be with so many descriptors: some are kept for files and for what
/// guests connect to, which fail where there are none.
fn within(descriptors: Option<u64>, connections: u32, slot: usize) -> u32 {
    /// More than this many are not kept.
    const MOST_KEPT: u64 = 128;
    let Some(descriptors) = descriptors else {
        return connections;
    };
    let kept = (descriptors / 4).min(MOST_KEPT);
    let room = u32::try_from(descriptors - kept).unwrap_or(u32::MAX);
    if slot == 0 && room < connections {
        warning!(
            "the limit of open files, {descriptors}, has room for {room} connections of each worker, and \
             --limit-connections allows {connections}: raise it with `ulimit -n`"
        );
    }
    connections.min(room)
}

async fn accept(
    mut acceptor: Acceptor,
    kind: ListenerKind,
    connections: Rc<Connections>,
    open: Rc<ConnectionCount>,
) {
    loop {
        make_room(&acceptor, &connections, &open).await;
        let evict = || _ = connections.list.evict();
        let (accepted, peer) = acceptor.next(evict).await;
        let guard = open.enter();
        let connections = connections.clone();
        spawn_local(async move {
            connections.serve(accepted, peer, kind).await;
            drop(guard);
        });
    }
}

/// Resolves when there is room for another connection: for one that waits, the one that has been idle for longest goes.
async fn make_room(acceptor: &Acceptor, connections: &Connections, open: &ConnectionCount) {
    /// An idle worker is looked for this often where there was none.
    const LOOK: Duration = Duration::from_millis(100);
    let most = connections.settings.connections;
    while open.is_full(most) {
        tokio::select! {
            biased;
            () = open.room(most) => {}
            () = acceptor.waits() => {
                connections.list.evict();
                // What waits would keep this worker awake.
                acceptor.leave();
                let _ = tokio::time::timeout(LOOK, open.room(most)).await;
            }
        }
    }
}

/// Says that this worker is alive, and gives back the memory that starting, a burst, or what has ended since took, once
/// nothing has begun or ended from one beat to the next.
async fn beat(slot: SlotRef, mut usage: Usage, served: Rc<Requests>, period: Duration) {
    let mut ticks = interval(period);
    let (mut activity, mut tidy) = (Activity::of(&slot), false);
    let (mut profile, _) = slot.profile();
    loop {
        ticks.tick().await;
        slot.beat(clock::now_ms());
        let (number, request) = slot.profile();
        if number != std::mem::replace(&mut profile, number)
            && let Some(asked) = ProfileRequest::from_number(request)
            && asked.is_for(process::own_pid())
        {
            served.make_profile(number, Duration::from_secs(asked.seconds()));
        }
        usage.tell(&slot);
        served.publish_counts();
        if let Some(workers) = slot.workers() {
            served.share_memory(workers);
        }
        let now = Activity::of(&slot);
        let quiet = now == std::mem::replace(&mut activity, now);
        if quiet && !tidy {
            memory::collect();
        }
        tidy = quiet;
    }
}

/// `Activity` differs from one time to another where something has begun or ended that takes memory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Activity {
    requests: u64,
    /// The connections that there were, and those that there are.
    connections: (u64, u32),
    websockets: u32,
    /// The instances that there are, and those of them that wait.
    instances: (u32, u32),
}

impl Activity {
    fn of(slot: &Slot) -> Activity {
        Activity {
            requests: slot.requests(),
            connections: (slot.connections_total(), slot.connections()),
            websockets: slot.websockets(),
            instances: slot.instances(),
        }
    }
}

/// Says once that the limit of requests is reached; who replaces this worker is not decided here.
async fn watch_limit(slot: SlotRef, limit: u64, spent: Box<dyn FnOnce()>) {
    let before = slot.requests();
    let mut ticks = interval(Duration::from_millis(50));
    while slot.requests() - before < limit {
        ticks.tick().await;
    }
    spent();
}

/// Says once that a thread does not end; who replaces this worker is not decided here.
async fn watch_threads(period: Duration, stuck: Box<dyn FnOnce()>) {
    let mut ticks = interval(period);
    while !guest::is_stuck() {
        ticks.tick().await;
    }
    stuck();
}
