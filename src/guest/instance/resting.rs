//! A guest that waits for long is at rest: its memory is put away until something happens that it waits for. An
//! interpreter that holds one client's WebSocket has changed little in many pages.

use super::call::RunningGuest;
use crate::guest::failure::Failure;
use crate::guest::snapshot::IdleMemory;
use futures_util::task::AtomicWaker;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A guest rests when it has waited for so long. Putting away and bringing back a megabyte takes half a millisecond of
/// processor time, so that this is far less often than a guest that has something to do runs.
const AFTER: Duration = Duration::from_secs(10);

/// The memory of the instance, once there is one; none where the instance cannot be restored, which has no image.
pub type Memory = Rc<RefCell<Option<IdleMemory>>>;

/// A `Resting` guest is polled only where something has happened that it waits for.
pub struct Resting {
    guest: RunningGuest,
    memory: Memory,
    signal: Arc<Signal>,
    waker: Waker,
    /// The guest rests at this time; none where it does already.
    pause: Option<Pin<Box<Sleep>>>,
}

/// `Signal` knows whether something has happened.
#[derive(Default)]
struct Signal {
    is_set: AtomicBool,
    /// Whoever polls the guest is told by this.
    outer: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.outer.wake();
    }
}

impl Resting {
    pub fn new(guest: RunningGuest, memory: Memory) -> Resting {
        let signal = Arc::new(Signal::default());
        signal.is_set.store(true, Ordering::Release);
        Resting {
            guest,
            memory,
            waker: signal.clone().into(),
            signal,
            pause: None,
        }
    }

    /// Runs the guest as far as it comes, where there is room for its memory.
    fn run(&mut self) -> Poll<Result<(), Failure>> {
        let mut cx = Context::from_waker(&self.waker);
        if let Some(memory) = &mut *self.memory.borrow_mut()
            && memory.is_put_away()
        {
            ready!(self.guest.poll_room(&mut cx))?;
            memory.bring_back(&mut self.guest);
        }
        let polled = Pin::new(&mut self.guest).poll(&mut cx);
        match &mut self.pause {
            Some(pause) => pause.as_mut().reset(Instant::now() + AFTER),
            None => self.pause = Some(Box::pin(sleep(AFTER))),
        }
        polled
    }
}

impl Future for Resting {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.signal.outer.register(cx.waker());
        if this.signal.is_set.swap(false, Ordering::AcqRel) {
            let polled = this.run();
            if polled.is_ready() {
                return polled;
            }
        } else if let Some(failure) = this.guest.fault() {
            return Poll::Ready(Err(failure));
        }
        if let Some(pause) = &mut this.pause
            && pause.as_mut().poll(cx).is_ready()
        {
            this.pause = None;
            if let Some(memory) = &mut *this.memory.borrow_mut() {
                memory.put_away(&mut this.guest);
            }
        }
        Poll::Pending
    }
}
