//! This file resolves and checks which components are run as periodic jobs.

use super::{option, units};
use crate::cli::Capabilities;
use crate::supervisor::JobSettings;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// Nothing is run more often than this: what is started takes time, too.
const SHORTEST: Duration = Duration::from_secs(1);

/// Nothing is run more seldom than this, and the times stay within what clocks have.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Resolves `--every`.
pub fn resolve(asked: &Capabilities) -> Result<Vec<JobSettings>> {
    let mut jobs: Vec<JobSettings> = Vec::new();
    for text in &asked.every {
        let job = option("--every", text, job)?;
        let path = job.path.display();
        ensure!(
            jobs.iter().all(|known| known.path != job.path),
            "option --every: `{path}` is named twice"
        );
        jobs.push(job);
    }
    Ok(jobs)
}

/// Parses `5m=job.wasm`.
fn job(text: &str) -> Result<JobSettings> {
    let parts = text.split_once('=');
    let (period, path) = parts.context("write it like 5m=job.wasm")?;
    let period = units::duration(period)?;
    ensure!(
        (SHORTEST..=LONGEST).contains(&period),
        "a component is run once a second at most, and once a year at least"
    );
    ensure!(
        !path.is_empty(),
        "no component is named; write it like 5m=job.wasm"
    );
    let path = PathBuf::from(path);
    Ok(JobSettings { path, period })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_and_a_component_are_told_apart() {
        let parsed = job("5m=a=b.wasm").unwrap();
        assert_eq!(parsed.path, PathBuf::from("a=b.wasm"));
        assert_eq!(parsed.period, Duration::from_secs(300));
        for text in [
            "", "5m", "=a", "5m=", "0=a", "1ms=a", "-1s=a", "nan=a", "5x=a", "9999d=a", "1e300s=a",
        ] {
            assert!(job(text).is_err(), "{text}");
        }
    }
}
