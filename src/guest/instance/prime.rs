//! An instance has its application start, and answers requests that nobody has sent, before anybody is served: what is
//! in its memory then is what each request's instance begins with.

use super::body::is_bodiless;
use super::call::Request;
use super::restore::RestoreState;
use super::serial::{Instance, trapped};
use crate::guest::engine::LIFECYCLE;
use crate::guest::failure::Failure;
use crate::guest::host::open;
use crate::guest::host::standing_resources::ResourceOrigin;
use crate::guest::memory::instance::InstanceMemory;
use crate::guest::snapshot::{Rest, StandingHandle, order_places};
use anyhow::{Context as _, Result};
use http_body::Body as _;
use std::fs::File;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use wasmtime::component::TypedFunc;
use wasmtime_wasi_http::WasiBody;

/// This many bytes of an answer are kept, for whoever wants to know why it is an error.
const KEPT: usize = 4 << 10;

/// `Moment` says what an application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The application is to start.
    Start,
    /// The snapshot is taken now: each instance goes on from here.
    Settle,
}

impl Moment {
    fn function(self) -> &'static str {
        match self {
            Moment::Start => "start",
            Moment::Settle => "settle",
        }
    }
}

/// An application is told by a function of this type.
type LifecycleFunction = TypedFunc<(), (Result<(), String>,)>;

impl Instance {
    /// Has the application start, in an instance that then answers requests.
    pub async fn start_application(&mut self) -> Result<(), Failure> {
        if self.condition == RestoreState::MemoriesReset {
            self.restore().await?;
        }
        let started = self.tell(Moment::Start).await?;
        started.map_err(Failure::NotStarted)
    }

    /// Tells the application that this moment has come. The inner error is its own.
    pub async fn tell(&mut self, moment: Moment) -> Result<Result<(), String>, Failure> {
        self.answered_in_order = false;
        let memory = self.store.data().memory().clone();
        let told = match self.told(moment) {
            Ok(function) => {
                let mut telling = pin!(function.call_async(&mut self.store, ()));
                poll_fn(|cx| paid(&memory, || telling.as_mut().poll(cx))).await?
            }
            Err(error) => return Err(Failure::NotStarted(format!("{error:#}"))),
        };
        if told.is_ok() {
            self.look_for_tasks();
        }
        self.store.data().rest();
        match told {
            Ok((told,)) => Ok(told),
            Err(error) => Err(trapped(error, &mut self.store)),
        }
    }

    /// Finds the function by which the application is told.
    fn told(&mut self, moment: Moment) -> Result<LifecycleFunction> {
        let instance = self.component;
        let interface = instance.get_export_index(&mut self.store, None, LIFECYCLE);
        let function = interface.and_then(|interface| {
            instance.get_export_index(&mut self.store, Some(&interface), moment.function())
        });
        let function = function.with_context(|| format!("`{LIFECYCLE}` is not whole"))?;
        Ok(instance.get_typed_func(&mut self.store, function)?)
    }

    /// Has the instance answer a request, and reads the answer to its end. Not all of its content is kept.
    pub async fn ask(&mut self, request: Request) -> Result<http::Response<Vec<u8>>, Failure> {
        let memory = self.store.data().memory().clone();
        let is_head = request.method() == http::Method::HEAD;
        let (sender, mut head) = oneshot::channel();
        let mut answering = Box::pin(self.answer(request, sender));
        let (mut has_returned, mut reading, mut content) = (false, None, Content::default());
        let answer = poll_fn(|cx| {
            if !has_returned
                && let Poll::Ready(ended) = paid(&memory, || answering.as_mut().poll(cx))
            {
                // What it has written before a failure has no end.
                ended??;
                has_returned = true;
            }
            if reading.is_none() {
                reading = head.try_recv().ok().transpose()?;
            }
            let before = content.length;
            let read = match &mut reading {
                Some(response) => content.poll_read(response, cx),
                None => Poll::Ready(Ok(())),
            };
            let needs_content =
                |response: &http::Response<_>| !is_head && !is_bodiless(response.status());
            match (has_returned, read) {
                (_, Poll::Ready(Err(why))) if reading.as_ref().is_some_and(needs_content) => {
                    Poll::Ready(Err(Failure::Unfinished(why)))
                }
                // Nobody writes on.
                (true, Poll::Pending) if reading.as_ref().is_some_and(needs_content) => {
                    Poll::Ready(Err(Failure::Unfinished(OPEN.to_owned())))
                }
                (true, _) => {
                    let response = reading.take().ok_or(Failure::NoResponse)?;
                    Poll::Ready(Ok(response.into_parts().0))
                }
                (false, _) => {
                    if content.length > before {
                        // There may be room for the guest to write on.
                        cx.waker().wake_by_ref();
                    }
                    Poll::Pending
                }
            }
        });
        // What is there to be read is read, however much it is.
        let parts = unconstrained(answer).await?;
        Ok(http::Response::from_parts(parts, content.kept))
    }

    /// Runs what modules would have run when they were instantiated, where that was deferred.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        self.restore().await
    }

    /// Closes the standing resources, which each instance gets anew, and says which they were.
    pub fn close_standing(&mut self) -> Vec<StandingHandle> {
        let closed = self.close_standing_since(ResourceOrigin::Request);
        let mut closed = closed.unwrap_or_default();
        closed.sort_by_key(|open| open.handle);
        closed
    }

    /// Names what of the host the instance has open.
    pub fn open(&mut self) -> Vec<&'static str> {
        let mut names = open::names(self.store.data_mut().table_mut());
        if !self.is_idle || order_places(&mut self.store).is_err() {
            names.push("a task, a stream or a future");
        }
        names
    }

    /// Reads the globals of an instance that was just made, for the snapshot.
    pub async fn globals(&mut self) -> Result<Vec<u64>> {
        let handle = self.reset_handle.as_ref().context(NO_HANDLE)?;
        Ok(handle.globals(&mut self.store).await?)
    }

    /// Has the C library give back the directories that it knows.
    pub async fn release_directories(&mut self) -> Result<()> {
        self.answered_in_order = false;
        let handle = self.reset_handle.as_ref().context(NO_HANDLE)?;
        Ok(handle.release_directories(&mut self.store).await?)
    }

    /// Writes what is in the instance into a file. Its globals were these when it was made, and the streams were open
    /// until now.
    pub async fn take_snapshot(
        &mut self,
        before: &[u64],
        rest: Rest<'_>,
        file: &mut File,
    ) -> Result<()> {
        let handle = self.reset_handle.as_ref().context(NO_HANDLE)?;
        handle.prime(&mut self.store, before, rest, file).await
    }
}

const NO_HANDLE: &str = "its instances are not put back";
const OPEN: &str = "the guest has returned without ending it";

/// Runs the guest at the expense of its instance, which may take no more than it is allowed.
fn paid<T>(memory: &InstanceMemory, run: impl FnOnce() -> Poll<T>) -> Poll<Result<T, Failure>> {
    let polled = memory.pay(run);
    match memory.check() {
        Err(excess) if polled.is_pending() => Poll::Ready(Err(excess.into())),
        _ => polled.map(Ok),
    }
}

/// `Content` is what was read of an answer.
#[derive(Default)]
struct Content {
    length: usize,
    is_over: bool,
    /// The answer begins like this.
    kept: Vec<u8>,
}

impl Content {
    /// Reads what there is of a response, and is ready at its end.
    fn poll_read(
        &mut self,
        response: &mut http::Response<WasiBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), String>> {
        while !self.is_over {
            match Pin::new(response.body_mut()).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = KEPT - self.kept.len();
                    self.kept.extend_from_slice(&data[..room.min(data.len())]);
                    self.length += data.len();
                }
                Poll::Ready(Some(Err(error))) => {
                    self.is_over = true;
                    return Poll::Ready(Err(error.to_string()));
                }
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}
