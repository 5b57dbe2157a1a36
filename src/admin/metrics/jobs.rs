//! Periodic jobs as metrics: what came of their runs, and how each is.

use super::lines::MetricsPage;
use crate::admin::reading::Reading;
use crate::scoreboard::JobFigures;
use crate::scoreboard::totals::{JOB_OUTCOMES, JOB_RUNS};
use prometheus_client::registry::Unit;
use std::fmt::Error;

pub fn jobs(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    page.family(
        "job_runs",
        "Runs of periodic jobs that are over, and those left out as the job still ran, by outcome",
        "outcome",
        &JOB_OUTCOMES,
        reading.totals.family(JOB_RUNS),
    )?;
    let each = |of: fn(&JobFigures) -> f64| {
        let jobs = reading.jobs.iter();
        jobs.map(move |it| (vec![("job", it.component.clone())], of(it)))
    };
    let help = "Whether a periodic job runs";
    let runs = each(|it| if it.pid == 0 { 0.0 } else { 1.0 });
    page.gauges("job_running", help, None, runs)?;
    let seconds = Some(&Unit::Seconds);
    let help = "When a periodic job last ended well, in seconds since 1970; 0 where it never did";
    let succeeded = each(|it| it.succeeded_at_ms as f64 / 1e3);
    page.gauges("job_last_success_time", help, seconds, succeeded)?;
    let help = "How long the last run of a periodic job took that is over";
    let took = each(|it| it.took_ms as f64 / 1e3);
    page.gauges("job_last_duration", help, seconds, took)
}
