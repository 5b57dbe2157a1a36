//! The primer makes one instance with all that the operator has granted, has its application start and answer the
//! requests that the operator has named, and writes down what is in it then. An instance that has something of the host
//! open cannot be the beginning of others: they would not have it.

use super::one_off::{NEVER, Watch, block_on_guest};
use super::priming::{PrimeRequest, Priming};
use super::progress::display_path;
use super::request::{CompileRequest, Confine};
use crate::cache::seal;
use crate::guest::engine::{self, CodeInfo, code};
use crate::guest::failure::Failure;
use crate::guest::host::tracked_rng::TrackedRng;
use crate::guest::instance::handler::LinkedComponent;
use crate::guest::instance::prime::Moment;
use crate::guest::instance::serial::Instance;
use crate::guest::recording::Recorder;
use crate::guest::schedule::alarm::Alarm;
use crate::guest::snapshot::{self, Rest, Restorer, objection};
use crate::{error, info, log, warning};
use anyhow::{Context, Result, bail, ensure};
use http::header::LOCATION;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

impl CompileRequest {
    /// Says whether an instance is primed before anybody is served.
    pub fn primes(&self, info: CodeInfo) -> bool {
        let Priming { off, requests, .. } = &self.priming;
        let wanted = info.lifecycle || !requests.is_empty();
        wanted && !off && info.restores() && self.limits.reuse.requests == 1
    }

    /// Computes how many bytes a primed snapshot has at most: the memories of one instance, and the note about them.
    pub fn largest_snapshot(&self) -> u64 {
        self.limits.memory.saturating_add(snapshot::LONGEST_NOTE)
    }

    /// Says why requests that the operator has named are not asked.
    pub(super) fn warn_unprimed(&self, info: CodeInfo) -> Result<()> {
        let Priming { off, requests, .. } = &self.priming;
        if requests.is_empty() || *off || self.primes(info) {
            return Ok(());
        }
        let why =
            "--prime: each request has an instance made for it, as `wasmserve inspect` explains";
        ensure!(!self.priming.strict, why);
        warning!("{why}");
        Ok(())
    }

    /// Writes a primed snapshot into an empty file, where there can be one.
    pub fn prime(
        &self,
        code: &OwnedFd,
        info: CodeInfo,
        file: &mut File,
        confine: Confine<'_>,
    ) -> Result<()> {
        let recordings = self.capabilities.recordings.as_ref();
        let recorder = recordings.map(|settings| Recorder::start(settings.secrets));
        prime(self, code, info, recorder, file, confine).with_context(|| self.about())
    }

    /// Writes such a snapshot of an application that is given what it was given when it was recorded, if it was.
    pub fn prime_again(
        &self,
        code: &OwnedFd,
        info: CodeInfo,
        recorder: Option<Arc<Recorder>>,
        file: &mut File,
    ) -> Result<()> {
        prime(self, code, info, recorder, file, &|| Ok(())).with_context(|| self.about())
    }
}

/// `PrimingOutcome` says what has come of priming.
enum PrimingOutcome {
    Yes,
    /// Instances begin as they did before, for this reason.
    No(String),
}

/// Nobody waits longer than this.
const LONG: Duration = Duration::from_hours(24);

const FAILED: &str = "Application startup failed. Exiting.";

/// Writes a primed snapshot of what was made of this code into an empty file; leaves it empty where there cannot be
/// one. An error ends the start: the application has failed, or the operator is strict.
fn prime(
    request: &CompileRequest,
    code: &OwnedFd,
    info: CodeInfo,
    recorder: Option<Arc<Recorder>>,
    file: &mut File,
    confine: Confine<'_>,
) -> Result<()> {
    seal::verify(&File::from(code.try_clone()?))?;
    let component = code::component(&engine::serving(info, request.limits)?, code)?;
    confine()?;
    let recorded = recorder.as_ref().map(|_| &*request.capabilities);
    let handler = LinkedComponent::link(info.target, &component, recorded)?;
    let restorer = Restorer::open(code, None)?.context("its instances are not put back")?;
    let watch = Watch {
        rng: TrackedRng::default(),
        recorder,
    };
    let store = request.one_off_store(component.engine(), Some(&watch))?;
    let start = Instant::now();
    let primed = block_on_guest(async {
        let made = Instance::new(&handler, store, Some(&restorer)).await;
        let mut instance = made.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        primed(request, info, &watch, start, &mut instance, file).await
    })?;
    let path = display_path(&request.name);
    match primed? {
        PrimingOutcome::Yes => {
            let size = file.metadata()?.len() as f64 / 1e6;
            let time = start.elapsed().as_secs_f32();
            info!(
                "Primed {path} in {time:.1} s: each request begins after its start ({size:.1} MB)"
            );
        }
        PrimingOutcome::No(why) if request.priming.strict => bail!("it cannot be primed: {why}"),
        PrimingOutcome::No(why) => {
            warning!("{path} is not primed, and starts anew for each request: {why}");
        }
    }
    Ok(())
}

async fn primed(
    request: &CompileRequest,
    info: CodeInfo,
    watch: &Watch,
    start: Instant,
    instance: &mut Instance,
    file: &mut File,
) -> Result<PrimingOutcome> {
    let before = instance.globals().await?;
    let started = match instance.begin().await {
        Ok(()) if info.lifecycle => instance.tell(Moment::Start).await,
        begun => begun.map(Ok),
    };
    let failure = match started {
        Ok(Ok(())) => None,
        Ok(Err(said)) => Some(Failure::not_started(said)),
        Err(failure) => Some(failure),
    };
    if let Some(failure) = failure {
        error!("{failure}");
        error!("{FAILED}");
        bail!("the application's startup failed: {}", failure.last_word());
    }
    // One that has no end is to be known by its name, before the supervisor loses patience.
    let until = start.checked_add(request.priming.time / 4 * 3);
    let until = until.unwrap_or(start + LONG);
    for asked in &request.priming.requests {
        if let Some(why) = ask(request, asked, until, instance).await? {
            return Ok(PrimingOutcome::No(why));
        }
    }
    if info.lifecycle {
        let settled = instance.tell(Moment::Settle).await;
        match settled {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Ok(PrimingOutcome::No(why)),
            Err(failure) => return Ok(PrimingOutcome::No(told(&failure))),
        }
    } else if watch.has_drawn() {
        let why = "it has drawn random numbers, which its instances would have in common; a component that draws them \
                   anew says so by `wasmserve:lifecycle`";
        return Ok(PrimingOutcome::No(why.to_owned()));
    }
    instance.release_directories().await?;
    let standing = instance.close_standing();
    let open = instance.open();
    if !open.is_empty() {
        let open = open.join(", ");
        return Ok(PrimingOutcome::No(format!("it has left open: {open}")));
    }
    if let Some(why) = objection(&standing) {
        return Ok(PrimingOutcome::No(why));
    }
    let open = &standing;
    let start = &watch.start()?;
    let rest = Rest { open, start };
    instance.take_snapshot(&before, rest, file).await?;
    Ok(PrimingOutcome::Yes)
}

/// Has the instance answer one request. Gives the reason where the instance is of no use afterwards.
async fn ask(
    request: &CompileRequest,
    asked: &PrimeRequest,
    until: Instant,
    instance: &mut Instance,
) -> Result<Option<String>> {
    let PrimeRequest { method, target } = asked;
    let name = log::escape(&format!("{method} {target}")).to_string();
    let store = instance.store_mut();
    store.set_epoch_deadline(1);
    let alarm = Alarm::set(store.engine(), until)?;
    let asked = instance.ask(asked.request(&request.priming.fields));
    let answered = timeout_at(until.into(), asked).await;
    drop(alarm);
    instance.store_mut().set_epoch_deadline(NEVER);
    let answer = match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) if Instant::now() < until => {
            return Ok(Some(format!("`{name}`: {}", told(&failure))));
        }
        Ok(Err(_)) | Err(_) => return Ok(Some(late(&name, request.priming.time))),
    };
    let status = answer.status();
    if let (true, Some(place)) = (status.is_redirection(), answer.headers().get(LOCATION)) {
        let place = String::from_utf8_lossy(place.as_bytes());
        let place = log::escape(&place);
        warning!("--prime `{name}` answers {status}, and `{place}` is not asked for");
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(answer.body()).into_owned();
    let said = log::escape(said.trim()).to_string();
    if request.priming.strict {
        bail!("--prime `{name}` answers {status}: {said}");
    }
    warning!("--prime `{name}` answers {status}: {said}");
    Ok(None)
}

/// Says that a request was given up.
fn late(name: &str, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "`{name}` has no end: it and what came before it may take three quarters of --timeout-worker-startup \
         ({seconds} s)"
    )
}

/// Logs a failure, with the functions that were running, and gives it in one line.
fn told(failure: &Failure) -> String {
    if failure.backtrace().is_some() {
        error!("{failure}");
    }
    failure.last_word()
}
