//! An instance runs for one piece of work, a request or the application's start: it comes from the pool or is made for
//! it, and goes into the pool afterwards.

use super::Guest;
use super::failure::Failure;
use super::host::request_name::RequestName;
use super::instance::call::{Head, Request, RunningGuest};
use super::instance::serial::{Instance, InstanceSource};
use super::schedule::cpu_share::CpuShare;
use crate::scoreboard::{DropReason, MadeReason};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Guest {
    /// Has an instance answer a request: this one, or else a new one.
    pub(super) fn start(
        &self,
        instance: Option<Instance>,
        share: Arc<CpuShare>,
        request: Request,
        head: oneshot::Sender<Head>,
    ) -> RunningGuest {
        let name = RequestName::of(&request);
        let made = match (&instance, &self.pool) {
            (Some(_), _) => MadeReason::RestoreFailed,
            (None, Some(_)) => MadeReason::PoolEmpty,
            (None, None) => MadeReason::EachRequest,
        };
        let source = self.source(instance, &share, name);
        self.run(source, share, made, async |instance| {
            instance.answer(request, head).await
        })
    }

    /// Has an instance run for this work, and puts it into the pool after that. A new one is made for this reason.
    pub(super) fn run(
        &self,
        source: InstanceSource,
        share: Arc<CpuShare>,
        made: MadeReason,
        work: impl AsyncFnOnce(&mut Instance) -> Result<(), Failure> + 'static,
    ) -> RunningGuest {
        let (own, memory) = (share.clone(), source.memory().clone());
        let (pool, counts) = (self.pool.clone(), self.counts.clone());
        let running = async move {
            let is_fresh = matches!(source, InstanceSource::Fresh(..));
            let mut instance = source.instance(&own).await?;
            if is_fresh {
                instance.live(counts.made(made));
            }
            if let Err(failure) = work(&mut instance).await {
                if let Some(recorder) = instance.store_mut().data().recorder() {
                    recorder.keep(&failure);
                }
                instance.would_end(DropReason::Failed);
                return own.fail(failure).await;
            }
            if let Some(recorder) = instance.store_mut().data().recorder() {
                recorder.guest_ended();
            }
            instance.would_end(DropReason::Finished);
            if let Some(pool) = pool {
                pool.keep(instance);
            }
            Ok(())
        };
        RunningGuest::new(running, self.epoch_thread.clone(), share, memory)
    }

    /// Prepares an instance from the pool, or else a new one.
    pub(super) fn source(
        &self,
        instance: Option<Instance>,
        share: &Arc<CpuShare>,
        name: Option<RequestName>,
    ) -> InstanceSource {
        match instance {
            Some(instance) => self.resume(instance, share.clone(), name),
            None => self.fresh(share.clone(), name),
        }
    }
}
