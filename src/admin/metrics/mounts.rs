//! These are the metrics of what is mounted: each mount is a server of its own, with numbers of its own.

use super::super::reading::Reading;
use super::lines::MetricsPage;
use crate::log::escape;
use crate::scoreboard::WorkerPhase;
use crate::scoreboard::totals::{self, CLASSES};
use prometheus_client::registry::Unit;
use std::fmt::Error;

pub fn mounts(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    if reading.mounts.is_empty() {
        return Ok(());
    }
    let mounts = || {
        let running = reading.mounts.iter();
        let running = running.filter_map(|mount| Some((&mount.name, mount.server.as_ref()?)));
        running.map(|(name, own)| (vec![("mount", escape(name).to_string())], own))
    };
    let answered = mounts().flat_map(|(labels, own)| {
        let classes = CLASSES.iter().enumerate();
        classes.map(move |(class, status)| {
            let mut labels = labels.clone();
            labels.push(("status", (*status).to_owned()));
            (labels, own.totals.responses(class))
        })
    });
    let help = "Requests that a mount has answered, by class of status";
    page.counters("mount_requests", help, answered)?;
    let failed = mounts().flat_map(|(labels, own)| {
        let kinds = totals::GUEST_FAILURE_KINDS.iter();
        let counts = own.totals.family(totals::GUEST_FAILURES).iter();
        kinds.zip(counts).map(move |(kind, count)| {
            let mut labels = labels.clone();
            labels.push(("kind", (*kind).to_owned()));
            (labels, *count)
        })
    });
    let help = "Requests that the guest of a mount failed, by kind";
    page.counters("mount_guest_failures", help, failed)?;
    let seconds =
        |family| mounts().map(move |(labels, own)| (labels, own.totals.one(family) as f64 / 1e6));
    let help = "Time from the heads of a mount's requests to the ends of their responses, added up";
    page.counters_of(
        "mount_request_duration",
        help,
        &Unit::Seconds,
        seconds(totals::LATENCY_SUM),
    )?;
    let help = "Processor time of a mount's workers";
    page.counters_of("mount_cpu", help, &Unit::Seconds, seconds(totals::CPU))?;
    let help = "Requests that a mount is answering";
    let in_flight = mounts().map(|(labels, own)| {
        let workers = own.workers.iter().map(|it| f64::from(it.in_flight));
        (labels, workers.sum())
    });
    page.gauges("mount_requests_in_flight", help, None, in_flight)?;
    let help = "Worker processes of a mount that are ready";
    let ready = mounts().map(|(labels, own)| {
        let ready = own
            .workers
            .iter()
            .filter(|it| it.phase == WorkerPhase::Ready);
        (labels, ready.count() as f64)
    });
    page.gauges("mount_workers", help, None, ready)?;
    let help = "Memory of a mount's workers (proportional set size)";
    let memory = mounts().map(|(labels, own)| {
        let memory: u64 = own.workers.iter().map(|it| it.memory).sum();
        (labels, memory as f64)
    });
    page.gauges("mount_memory", help, Some(&Unit::Bytes), memory)
}
