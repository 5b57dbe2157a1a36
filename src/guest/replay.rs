//! A recording is replayed: the request that failed is given to an instance like the one that it failed in, with the
//! same answers of the host, and what comes of it is compared.

use super::failure::Failure;
use super::host::capabilities::Capabilities;
use super::host::keyvalue::StoreLocation;
use super::instance::body::GuestBody;
use super::instance::call::Request;
use super::instance::loaded;
use super::limits::GuestLimits;
use super::recording::{Answered, Given, OtherWay, Recorder, Recording};
use super::snapshot::Restorer;
use super::{CompileRequest, Guest};
use crate::sys::memory;
use anyhow::{Context as _, Result};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};

/// A replay takes no longer than this: a guest that waited is waited for again.
const LONGEST: Duration = Duration::from_secs(600);

/// `Replayed` says what came of a replay.
pub struct Replayed {
    /// The component that was run has this digest.
    pub component: String,
    /// The instance was given otherwise than when the request was recorded.
    pub differences: Vec<String>,
    /// The guest failed like this; none where it answered.
    pub failure: Option<Failure>,
    /// The guest has answered this, whole or not.
    pub answered: Option<Answered>,
    /// The guest has written these lines to standard error, the last ones at least.
    pub said: Vec<String>,
    pub other_way: Option<OtherWay>,
    /// The application went this other way already when it started.
    pub started_otherwise: Option<OtherWay>,
    /// The guest has used this, whose answers are in no recording, after so many calls.
    pub unanswered: Option<(Vec<String>, usize)>,
    /// The first is how many calls were answered as recorded, the second of how many.
    pub calls: (usize, usize),
}

impl Replayed {
    /// Says whether the request has failed as it did when it was recorded: with the same functions running, with the same
    /// answer and the same words, or without an end at the same place.
    pub fn is_same(&self, recording: &Recording) -> bool {
        match (&self.failure, &recording.answered, recording.time_out) {
            (None, Some(_), _) => self.answers_alike(recording) && self.said == recording.said,
            (Some(Failure::TimedOut), None, Some(_)) => {
                // What it did after that is not known.
                let left = self.other_way.as_ref();
                self.calls.0 == self.calls.1 && left.is_none_or(|way| way.recorded.is_none())
            }
            (Some(failure), None, None) => failure.signature() == recording.signature,
            _ => false,
        }
    }

    /// Says whether the guest has given the answer that was recorded.
    pub fn answers_alike(&self, recording: &Recording) -> bool {
        let answers = self.answered.as_ref().zip(recording.answered.as_ref());
        answers.is_some_and(|(now, then)| now.is_same(then))
    }
}

/// Says how long a replay may take. One of a request whose time was up ends after as much again, on a machine that may
/// be slower.
fn time_of(recording: &Recording) -> Duration {
    let took = recording.time_out.map(Duration::from_millis);
    took.map_or(LONGEST, |took| took.saturating_mul(2).min(LONGEST))
}

/// Says what every instance begins with, for recordings.
pub fn given(
    component: String,
    capabilities: &Capabilities,
    limits: GuestLimits,
    restorer: Option<&Restorer>,
) -> Given {
    let Capabilities {
        environment,
        arguments,
        settings,
        directories,
        ..
    } = capabilities;
    let directories = directories.iter();
    let given = Given {
        component,
        primed: restorer.is_some_and(Restorer::is_primed),
        memory: limits.memory,
        directories: directories.map(|it| it.guest.clone()).collect(),
        ..Given::default()
    };
    given.with(environment, arguments, settings)
}

/// Replays a recording with the component of this request, and prints each call if it is traced. There is `None`, and
/// nothing was run, where that must be the recorded component and is another one.
pub fn replay(
    request: &CompileRequest,
    recording: &Recording,
    traced: bool,
    must_be_same: bool,
) -> Result<Option<Replayed>> {
    let mut request = request.clone();
    // Nobody is asked but the recording.
    Arc::make_mut(&mut request.capabilities).keyvalue = Some(StoreLocation::Recorded);
    let (code, info) = request.code_here()?;
    if must_be_same && loaded::digest(&code)? != recording.component {
        return Ok(None);
    }
    // What the application was given when it started is given again where it is in the recording.
    let starter = match &recording.start {
        Some(start) => {
            Arc::make_mut(&mut request.capabilities).directories.clear();
            let directories = &recording.given.directories;
            Some(Recorder::start_again(start, directories, traced)?)
        }
        None => None,
    };
    let mut primed = None;
    if recording.given.primed && request.primes(info) {
        let mut snapshot = memory::empty_file("wasmserve snapshot")?;
        request.prime_again(&code, info, starter.clone(), &mut snapshot)?;
        memory::seal(&snapshot)?;
        let written = snapshot.metadata()?.len() > 0;
        primed = written.then(|| OwnedFd::from(snapshot));
    }
    // What a request has read is in its recording.
    Arc::make_mut(&mut request.capabilities).directories.clear();
    let loaded = request.load(&code, primed.as_ref(), info, None)?;
    let component = loaded.component.clone();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot start the loop that a guest runs in")?;
    runtime.block_on(async {
        let capabilities = loaded.capabilities.clone();
        let restorer = loaded.restorer.clone();
        let limits = loaded.limits;
        let guest = Guest::new(loaded)?;
        // Another component may compute for ever.
        guest.start_clock()?;
        let now = given(
            component.clone(),
            &capabilities,
            limits,
            restorer.as_deref(),
        );
        let (recorder, again) = Recorder::replay(recording, traced)?;
        let answering = guest.answer_again(Box::new(again));
        let (over, time) = (recorder.waited_in_vain(), time_of(recording));
        let failure = tokio::select! {
            answered = tokio::time::timeout(time, answering) => {
                answered.unwrap_or(Err(Failure::TimedOut)).err()
            }
            () = over => Some(Failure::TimedOut),
        };
        let (other_way, answered, all) = recorder.replayed();
        Ok(Some(Replayed {
            component,
            differences: recording.given.differences(&now),
            failure,
            answered: recorder.own_answer(),
            said: recorder.said(),
            other_way,
            started_otherwise: starter.and_then(|starter| starter.replayed().0),
            unanswered: recorder.used_after().map(|calls| (recorder.used(), calls)),
            calls: (answered, all),
        }))
    })
}

impl Guest {
    /// Has an instance answer a request to its end.
    async fn answer_again(&self, request: Request) -> Result<(), Failure> {
        let response = self.answer(request).await?;
        read(response.into_body()).await
    }
}

/// Reads a body to its end, and lets the guest come to its own.
async fn read(mut body: GuestBody) -> Result<(), Failure> {
    use http_body::Body as _;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        frame?;
    }
    body.leftover().await
}
