//! The scheduler decides which guest runs next. Guests begin one after another, and each runs on until it waits for
//! something, so that short work is done before the next begins and finds the caches warm. A guest that goes on for
//! longer makes room: such guests take turns, one time slice of one of them between two looks at sockets and timers,
//! however many there are, so that their neighbours wait for one slice at most.
//!
//! It is our own, as the engine can interrupt guests, and leaves it open who runs next and who pays.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout;

/// A guest may use this much before others begin beside it.
const SHORT: Duration = Duration::from_millis(10);

/// Making an instance may use this much before others begin: each of them would make an instance too, and the first
/// that is made can answer them all.
const MAKING: Duration = Duration::from_secs(1);

/// A guest waits for this long for its time slice where the guest that holds it is not polled, because its client reads
/// nothing of its body.
const STALLED: Duration = Duration::from_millis(50);

/// The `Scheduler` of a worker serves its guests in the order in which they ask.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

struct Shared {
    /// A guest is beginning.
    begins: AtomicBool,
    /// This many wait to begin, for permits that there are only when one is handed over.
    waiting: AtomicUsize,
    next: Semaphore,
    slice: Arc<Semaphore>,
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler(Arc::new(Shared {
            begins: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            next: Semaphore::new(0),
            slice: Arc::new(Semaphore::new(1)),
        }))
    }
}

/// Whoever has a `Turn` is the one that begins. Taking it costs little where nobody else has it, as is so with most
/// requests.
struct Turn(Arc<Shared>);

impl Turn {
    async fn take(shared: &Arc<Shared>) -> Turn {
        if shared.waiting.load(Relaxed) > 0 || shared.begins.swap(true, Relaxed) {
            let _waiting = Waiting::begin(shared);
            // It is never closed. Who has the permit has the turn, and hands on both.
            if let Ok(permit) = shared.next.acquire().await {
                permit.forget();
            }
        }
        Turn(shared.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        match self.0.waiting.load(Relaxed) {
            0 => self.0.begins.store(false, Relaxed),
            _ => self.0.next.add_permits(1),
        }
    }
}

/// A `Waiting` guest is counted, until it has its turn or is gone. A permit that it was about to have is the next one's
/// then, or lies ready for whoever comes.
struct Waiting<'a>(&'a Shared);

impl Waiting<'_> {
    fn begin(shared: &Shared) -> Waiting<'_> {
        shared.waiting.fetch_add(1, Relaxed);
        Waiting(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// A guest holds one of these.
enum Held {
    Turn(#[expect(dead_code, reason = "it is given on when it is dropped")] Turn),
    Slice(
        #[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit,
    ),
}

/// A `TimeSlice` is one guest's access to the scheduler. One thread uses it, but the engine requires a lock.
pub struct TimeSlice {
    scheduler: Scheduler,
    held: Mutex<Option<Held>>,
    /// No other guest begins until this one waits for something.
    first: AtomicBool,
    /// The guest lets the runtime look at sockets and timers, and goes on at once.
    yields: AtomicBool,
    /// The guest's instance is being made.
    making: AtomicBool,
    /// Making the instance has used this many nanoseconds.
    made: AtomicU64,
}

impl TimeSlice {
    pub fn new(scheduler: &Scheduler) -> TimeSlice {
        TimeSlice {
            scheduler: scheduler.clone(),
            held: Mutex::new(None),
            first: AtomicBool::new(false),
            yields: AtomicBool::new(false),
            making: AtomicBool::new(false),
            made: AtomicU64::new(0),
        }
    }

    /// Resolves when this guest may begin.
    pub async fn begin(&self) {
        let turn = Turn::take(&self.scheduler.0).await;
        self.first.store(true, Relaxed);
        self.hold(Some(Held::Turn(turn)));
    }

    /// Notes that the guest's instance is about to be made.
    pub fn begin_instantiation(&self) {
        self.making.store(true, Relaxed);
    }

    /// Notes that the guest's instance is made, and how much time that has used.
    pub fn end_instantiation(&self, burned: Duration) {
        let nanos = u64::try_from(burned.as_nanos()).unwrap_or(u64::MAX);
        self.made.store(nanos, Relaxed);
        self.making.store(false, Relaxed);
    }

    /// Ends the time slice when the guest pauses: the slice is over, or the guest waits for something else.
    pub fn pause(&self) {
        if !self.yields.load(Relaxed) {
            self.end();
        }
    }

    /// Lets others begin, wherever this guest is.
    pub fn end(&self) {
        self.first.store(false, Relaxed);
        self.hold(None);
    }

    /// Says whether the guest, which has used this much time, goes on before others begin.
    pub fn may_continue(&self, burned: Duration) -> bool {
        let may = match self.making.load(Relaxed) {
            true => MAKING,
            false => Duration::from_nanos(self.made.load(Relaxed)) + SHORT,
        };
        self.first.load(Relaxed) && burned < may
    }

    /// Lets the runtime look at sockets and timers, and resolves at once after that.
    pub async fn yield_and_continue(&self) {
        self.yields.store(true, Relaxed);
        // The runtime's own way to yield: it looks at sockets and timers before it goes on here, which a
        // bare wake-up would not make it do.
        yield_now().await;
        self.yields.store(false, Relaxed);
    }

    /// Resolves when this guest gets its next time slice.
    pub async fn wait_for_slice(&self) {
        self.end();
        let slice = self.scheduler.0.slice.clone().acquire_owned();
        let permit = timeout(STALLED, slice).await;
        yield_now().await;
        let permit = permit.ok().and_then(Result::ok);
        self.hold(permit.map(Held::Slice));
    }

    fn hold(&self, held: Option<Held>) {
        let mut before = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *before = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    fn is_pending(future: Pin<&mut impl Future>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        future.poll(&mut cx).is_pending()
    }

    fn block_on(future: impl Future) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().unwrap();
        runtime.block_on(future);
    }

    #[test]
    fn one_begins_when_another_waits_for_something() {
        let scheduler = Scheduler::default();
        let [first, second] = [(); 2].map(|()| TimeSlice::new(&scheduler));
        block_on(async {
            first.begin().await;
            let mut waiting = pin!(second.begin());
            assert!(is_pending(waiting.as_mut()));
            let mut yields = pin!(first.yield_and_continue());
            assert!(is_pending(yields.as_mut()));
            first.pause();
            assert!(is_pending(waiting.as_mut()));
            yields.await;
            first.pause();
            waiting.await;
        });
    }

    /// Guards against a turn that is lost, or had by two, where one that waits for it goes away: before and after it was
    /// given to it.
    #[test]
    fn guests_begin_in_the_order_in_which_they_ask_also_where_some_go_away() {
        let scheduler = Scheduler::default();
        let slices = [(); 5].map(|()| TimeSlice::new(&scheduler));
        let [first, second, third, fourth, fifth] = &slices;
        block_on(async {
            first.begin().await;
            let mut gone = Box::pin(second.begin());
            assert!(is_pending(gone.as_mut()));
            let mut given = Box::pin(third.begin());
            let mut waits = pin!(fourth.begin());
            assert!(is_pending(given.as_mut()) && is_pending(waits.as_mut()));
            drop(gone);
            first.end();
            // It is the third's turn, which does not know yet.
            let mut late = pin!(fifth.begin());
            assert!(is_pending(late.as_mut()) && is_pending(waits.as_mut()));
            drop(given);
            assert!(is_pending(late.as_mut()));
            waits.await;
            assert!(is_pending(late.as_mut()));
            fourth.end();
            late.await;
        });
        let scheduler = Scheduler::default();
        let [first, second, third] = [(); 3].map(|()| TimeSlice::new(&scheduler));
        block_on(async {
            first.begin().await;
            let mut given = Box::pin(second.begin());
            assert!(is_pending(given.as_mut()));
            first.end();
            drop(given);
            third.begin().await;
            let mut waits = pin!(second.begin());
            assert!(is_pending(waits.as_mut()));
            third.end();
            waits.await;
        });
    }

    #[test]
    fn one_that_goes_on_for_long_makes_room() {
        let scheduler = Scheduler::default();
        let [long, other] = [(); 2].map(|()| TimeSlice::new(&scheduler));
        block_on(async {
            long.begin().await;
            assert!(long.may_continue(SHORT / 2) && !long.may_continue(SHORT));
            let mut next = pin!(long.wait_for_slice());
            assert!(is_pending(next.as_mut()));
            other.begin().await;
            next.await;
            assert!(!long.may_continue(Duration::ZERO));
        });
    }

    #[test]
    fn making_an_instance_is_no_work_of_the_guest() {
        let scheduler = Scheduler::default();
        let slice = TimeSlice::new(&scheduler);
        block_on(slice.begin());
        slice.begin_instantiation();
        assert!(slice.may_continue(5 * SHORT) && !slice.may_continue(MAKING));
        slice.end_instantiation(5 * SHORT);
        assert!(slice.may_continue(5 * SHORT) && !slice.may_continue(6 * SHORT));
    }

    #[test]
    fn one_runs_its_slice_while_another_waits() {
        let scheduler = Scheduler::default();
        let [first, second] = [(); 2].map(|()| TimeSlice::new(&scheduler));
        block_on(async {
            first.wait_for_slice().await;
            let mut waiting = pin!(second.wait_for_slice());
            assert!(is_pending(waiting.as_mut()));
            first.end();
            waiting.await;
        });
    }

    #[test]
    fn one_that_nobody_polls_is_not_waited_for() {
        let scheduler = Scheduler::default();
        let [stalled, other] = [(); 2].map(|()| TimeSlice::new(&scheduler));
        block_on(async {
            stalled.wait_for_slice().await;
            other.wait_for_slice().await;
        });
    }
}
