//! A recording is replayed: the request that failed is given to an instance like the one that it failed in, with the
//! same answers of the host, and what comes of it is compared.

use super::failure::Failure;
use super::host::capabilities::Capabilities;
use super::host::keyvalue::StoreLocation;
use super::instance::body::GuestBody;
use super::instance::call::Request;
use super::limits::GuestLimits;
use super::recording::{Given, OtherWay, Recorder, Recording};
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
    /// The guest has answered with this status, whole or not.
    pub status: Option<http::StatusCode>,
    pub other_way: Option<OtherWay>,
    /// The first is how many calls were answered as recorded, the second of how many.
    pub calls: (usize, usize),
}

impl Replayed {
    /// Says whether this is the failure that was recorded, with the same functions running.
    pub fn is_same(&self, recording: &Recording) -> bool {
        let signature = self.failure.as_ref().map(Failure::signature);
        signature.as_deref() == Some(&recording.signature)
    }
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
        ..
    } = capabilities;
    let given = Given {
        component,
        primed: restorer.is_some_and(Restorer::is_primed),
        memory: limits.memory,
        ..Given::default()
    };
    given.with(environment, arguments, settings)
}

/// Replays a recording with the component of this request, and prints each call if it is traced.
pub fn replay(request: &CompileRequest, recording: &Recording, traced: bool) -> Result<Replayed> {
    let mut request = request.clone();
    // Nobody is asked but the recording.
    Arc::make_mut(&mut request.capabilities).keyvalue = Some(StoreLocation::Recorded);
    let (code, info) = request.code_here()?;
    let mut primed = None;
    if recording.given.primed && request.primes(info) {
        let mut snapshot = memory::empty_file("wasmserve snapshot")?;
        request.prime(&code, info, &mut snapshot, &|| Ok(()))?;
        memory::seal(&snapshot)?;
        let written = snapshot.metadata()?.len() > 0;
        primed = written.then(|| OwnedFd::from(snapshot));
    }
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
        let (status, failure) = guest.answer_again(Box::new(again)).await;
        let (other_way, answered, all) = recorder.replayed();
        Ok(Replayed {
            component,
            differences: recording.given.differences(&now),
            failure,
            status,
            other_way,
            calls: (answered, all),
        })
    })
}

impl Guest {
    /// Has an instance answer a request to its end, and gives the status and the failure.
    async fn answer_again(&self, request: Request) -> (Option<http::StatusCode>, Option<Failure>) {
        let mut status = None;
        let answering = async {
            let response = self.answer(request).await?;
            status = Some(response.status());
            read(response.into_body()).await
        };
        let answered = tokio::time::timeout(LONGEST, answering).await;
        let failure = answered.unwrap_or(Err(Failure::TimedOut)).err();
        (status, failure)
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
