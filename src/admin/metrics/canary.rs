//! Canaries as metrics: what came of those before, and how the one that runs is.

use super::lines::MetricsPage;
use crate::admin::reading::Reading;
use crate::scoreboard::VersionFigures;
use crate::scoreboard::totals::{CANARIES, CANARY_OUTCOMES};
use prometheus_client::registry::Unit;
use std::fmt::Error;

pub fn canary(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    page.family(
        "canaries",
        "Canaries that are over, by outcome",
        "outcome",
        &CANARY_OUTCOMES,
        reading.totals.family(CANARIES),
    )?;
    page.gauge(
        "canary_version",
        "The version whose canary runs; 0 where none does",
        u64::from(reading.canary.map_or(0, |it| it.generation)),
    )?;
    let versions = || {
        let canary = reading.canary.into_iter();
        canary.flat_map(|it| [("old", it.old), ("new", it.new)])
    };
    let each = |of: fn(VersionFigures) -> f64| {
        versions().map(move |(name, it)| (vec![("version", name)], of(it)))
    };
    let help = "Requests that guests were asked since the canary began, by version";
    page.gauges("canary_requests", help, None, each(|it| it.requests as f64))?;
    let help = "Requests that guests have failed since the canary began, by version";
    page.gauges("canary_failures", help, None, each(|it| it.failed as f64))?;
    let help = "What 99 of 100 requests took no longer than since the canary began, by version";
    let p99 = each(|it| it.p99_us as f64 / 1e6);
    page.gauges("canary_request_p99", help, Some(&Unit::Seconds), p99)
}
