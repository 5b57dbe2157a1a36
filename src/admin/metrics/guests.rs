//! These are the metrics of guests: where their instances come from and why they go, and how the requests ended that
//! they sent.

use super::super::reading::Reading;
use super::lines::{MetricsPage, NONE};
use crate::scoreboard::totals;
use std::fmt::Error;

pub fn guests(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let totals = &reading.totals;
    page.family(
        "instances_made",
        "Instances of the component that were made, by reason",
        "reason",
        &totals::MADE_REASONS,
        totals.family(totals::INSTANCES_MADE),
    )?;
    for (name, help, family) in [
        (
            "instances_restored",
            "Instances that were restored for a further request",
            totals::INSTANCES_RESTORED,
        ),
        (
            "instances_reused",
            "Further requests that instances answered as the last one had left them",
            totals::INSTANCES_REUSED,
        ),
    ] {
        page.counters(name, help, [(NONE, totals.one(family))].into_iter())?;
    }
    page.family(
        "instances_dropped",
        "Instances that are gone, by reason",
        "reason",
        &totals::DROP_REASONS,
        totals.family(totals::INSTANCES_DROPPED),
    )?;
    let sum = |of: fn((u32, u32)) -> u32| {
        let workers = reading.workers.iter();
        workers.map(|it| u64::from(of(it.instances))).sum()
    };
    page.gauge("instances", "Instances that there are", sum(|(all, _)| all))?;
    page.gauge(
        "instances_pooled",
        "Instances that wait in the pools for a request",
        sum(|(_, pooled)| pooled),
    )?;
    page.family(
        "outbound_requests",
        "Requests that guests sent, by what came of them up to the head of the response",
        "outcome",
        &totals::OUTBOUND_OUTCOMES,
        totals.family(totals::OUTBOUND),
    )
}
