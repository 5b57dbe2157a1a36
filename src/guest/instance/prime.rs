//! An instance has its application start, and answers requests that nobody has sent, before anybody is served: what is
//! in its memory then is what each request's instance begins with.

use super::call::Request;
use super::restore::RestoreState;
use super::serial::{Instance, trapped};
use crate::guest::engine::LIFECYCLE;
use crate::guest::failure::Failure;
use crate::guest::host::open;
use crate::guest::host::standard_streams::StreamOrigin;
use crate::guest::snapshot::{OpenStream, order_places};
use anyhow::{Context as _, Result};
use http_body::Body as _;
use std::fs::File;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
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
        let told = match self.told(moment) {
            Ok(function) => function.call_async(&mut self.store, ()).await,
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
        let (sender, mut head) = oneshot::channel();
        let mut answering = Box::pin(self.answer(request, sender));
        let (mut answered, mut reading, mut content) = (None, None, Content::default());
        let answer = poll_fn(|cx| {
            loop {
                if answered.is_none()
                    && let Poll::Ready(ended) = answering.as_mut().poll(cx)
                {
                    answered = Some(ended);
                }
                if reading.is_none() {
                    reading = head.try_recv().ok();
                }
                let before = content.length;
                let read = match &mut reading {
                    Some(Ok(response)) => content.poll_read(response, cx),
                    Some(Err(_)) | None => Poll::Ready(()),
                };
                match (&answered, read) {
                    (Some(_), Poll::Ready(())) => break,
                    // There may be room for the guest to write on.
                    (None, _) if content.length > before => {}
                    _ => return Poll::Pending,
                }
            }
            let ended = answered.take().unwrap_or(Ok(()));
            Poll::Ready(ended.and_then(|()| match reading.take() {
                Some(Ok(response)) => Ok(response.into_parts().0),
                Some(Err(failure)) => Err(failure),
                None => Err(Failure::NoResponse),
            }))
        });
        let parts = answer.await?;
        Ok(http::Response::from_parts(parts, content.kept))
    }

    /// Runs what modules would have run when they were instantiated, where that was deferred.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        self.restore().await
    }

    /// Closes the standard streams, which each instance gets anew, and says which they were.
    pub fn close_standard_streams(&mut self) -> Vec<OpenStream> {
        let closed = self.close_streams(StreamOrigin::Request);
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
        let handle = self.reset_handle.as_ref().context(NO_HANDLE)?;
        Ok(handle.release_directories(&mut self.store).await?)
    }

    /// Writes what is in the instance into a file. Its globals were these when it was made, and these streams were open
    /// until now.
    pub async fn take_snapshot(
        &mut self,
        before: &[u64],
        open: &[OpenStream],
        file: &mut File,
    ) -> Result<()> {
        let handle = self.reset_handle.as_ref().context(NO_HANDLE)?;
        handle.prime(&mut self.store, before, open, file).await
    }
}

const NO_HANDLE: &str = "its instances are not put back";

/// `Content` is what was read of an answer.
#[derive(Default)]
struct Content {
    length: usize,
    /// The answer begins like this.
    kept: Vec<u8>,
}

impl Content {
    /// Reads what there is of a response, and is ready at its end.
    fn poll_read(
        &mut self,
        response: &mut http::Response<WasiBody>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match Pin::new(response.body_mut()).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = KEPT - self.kept.len();
                    self.kept.extend_from_slice(&data[..room.min(data.len())]);
                    self.length += data.len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
