//! A call is one request inside one instance: a future that runs the guest, which sends the head of its response to
//! whoever polls that.

use crate::guest::failure::{Failure, NoRoom};
use crate::guest::memory::instance::InstanceMemory;
use crate::guest::memory::worker::RunningGuard;
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::schedule::epoch::EpochThread;
use http_body::Body as _;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime_wasi_http::WasiBody;

/// Guests get a request with an absolute target, which has scheme and authority. It is boxed because many functions
/// pass it on.
pub type Request = Box<http::Request<WasiBody>>;

/// A guest gives this at first.
pub type Head = Result<http::Response<WasiBody>, Failure>;

/// A `RunningGuest` makes progress only while it is polled, and is gone when it is dropped.
pub struct RunningGuest {
    guest: Pin<Box<dyn Future<Output = Result<(), Failure>>>>,
    epoch_thread: Arc<EpochThread>,
    share: Arc<CpuShare>,
    memory: Arc<InstanceMemory>,
    /// The guest waits for this where the worker has no memory to go on with.
    room: Option<MemoryWait>,
    /// The guard ends after the guest has given back what it took.
    running_guard: RunningGuard,
}

/// A `MemoryWait` resolves when there is memory.
type MemoryWait = Pin<Box<dyn Future<Output = Result<(), NoRoom>>>>;

impl RunningGuest {
    pub fn new(
        guest: impl Future<Output = Result<(), Failure>> + 'static,
        epoch_thread: Arc<EpochThread>,
        share: Arc<CpuShare>,
        memory: Arc<InstanceMemory>,
    ) -> RunningGuest {
        RunningGuest {
            running_guard: memory.begin(),
            guest: Box::pin(guest),
            epoch_thread,
            share,
            memory,
            room: None,
        }
    }
}

impl RunningGuest {
    /// Lets others begin: the response has begun, and the client takes it as fast as it likes.
    pub fn begins_body(self) -> RunningGuest {
        self.share.slice.end();
        self
    }

    /// Says why the guest is ended although it does not run: of what the host holds for it, for example, there is too much.
    pub(super) fn fault(&self) -> Option<Failure> {
        let excess = || Some(self.memory.check().err()?.into());
        self.share.failure().or_else(excess)
    }

    /// Waits while the worker has no memory for its guests.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.room.is_none() {
            if !self.memory.worker().is_exceeded() {
                return Poll::Ready(Ok(()));
            }
            let (worker, age) = (self.memory.worker().clone(), self.running_guard.age());
            self.room = Some(Box::pin(async move { worker.resume(age).await }));
        }
        let Some(room) = &mut self.room else {
            return Poll::Ready(Ok(()));
        };
        match room.as_mut().poll(cx) {
            Poll::Pending => {
                self.share.slice.end();
                Poll::Pending
            }
            Poll::Ready(result) => {
                self.room = None;
                Poll::Ready(result.map_err(|NoRoom| Failure::NoRoom))
            }
        }
    }
}

impl Future for RunningGuest {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(self.poll_room(cx))?;
        let RunningGuest {
            guest,
            epoch_thread,
            share,
            memory,
            ..
        } = &mut *self;
        epoch_thread.keep_ticking();
        let polled = memory.pay(|| share.budget.measure(|| guest.as_mut().poll(cx)));
        share.slice.pause();
        match self.fault() {
            Some(failure) if polled.is_pending() => Poll::Ready(Err(failure)),
            _ => polled,
        }
    }
}

/// Says whether repeating the request can do no harm (RFC 9110 section 9.2.1), and its body is empty.
pub fn is_repeatable(request: &Request) -> bool {
    request.method().is_safe() && request.body().is_end_stream()
}

/// Copies a request that can be repeated.
pub fn copy(request: &Request) -> Option<Request> {
    if !is_repeatable(request) {
        return None;
    }
    let empty = http_body_util::Empty::new().map_err(|never| match never {});
    let mut copy = http::Request::new(empty.boxed_unsync());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    Some(Box::new(copy))
}
