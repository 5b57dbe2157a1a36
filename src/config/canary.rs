//! This file resolves and checks how a new version is judged.

use super::{maybe, option, units};
use crate::cli;
use crate::supervisor::{CanarySettings, WithoutTraffic};
use anyhow::{Context, Result, bail};

pub fn resolve(asked: &cli::Canary) -> Result<CanarySettings> {
    let time = option("--canary-time", &asked.canary_time, |text| {
        let time = units::duration(text)?;
        match time.is_zero() {
            true => bail!("`{text}` is no time to compare anything in; write it like 60s"),
            false => Ok(time),
        }
    });
    Ok(CanarySettings {
        share: maybe("--canary", asked.canary.as_ref(), share_of_workers)?,
        time: time?,
        max_failures: option(
            "--canary-max-failures",
            &asked.canary_max_failures,
            share_of_requests,
        )?,
        max_latency: option("--canary-max-latency", &asked.canary_max_latency, times)?,
        without_traffic: match asked.canary_without_traffic {
            cli::WithoutTraffic::Wait => WithoutTraffic::Wait,
            cli::WithoutTraffic::Promote => WithoutTraffic::Promote,
            cli::WithoutTraffic::Rollback => WithoutTraffic::RollBack,
        },
    })
}

fn share_of_workers(text: &str) -> Result<f64> {
    match percent(text)? {
        share if share > 0.0 && share <= 0.5 => Ok(share),
        _ => bail!("`{text}` is no share of a canary; write more than 0% and at most 50%"),
    }
}

fn share_of_requests(text: &str) -> Result<f64> {
    match percent(text)? {
        share if (0.0..1.0).contains(&share) => Ok(share),
        _ => bail!("`{text}` is no share that may fail; write 0% or more, and less than 100%"),
    }
}

/// Reads `10%` as a part of one.
fn percent(text: &str) -> Result<f64> {
    let wrong = || format!("`{text}` is not a share; write it like 10%");
    let number: f64 = text
        .strip_suffix('%')
        .and_then(|number| number.trim_end().parse().ok())
        .with_context(wrong)?;
    Ok(number / 100.0)
}

/// Reads `1.5x`, or `1.5`.
fn times(text: &str) -> Result<f64> {
    let number = text.strip_suffix('x').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(number) if number >= 1.0 && number.is_finite() => Ok(number),
        Ok(_) => bail!("`{text}` is out of range; write 1x or more"),
        Err(_) => bail!("`{text}` is not a number of times; write it like 1.5x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_are_read_as_people_write_them() {
        assert!((share_of_workers("10%").unwrap() - 0.1).abs() < 1e-12);
        assert!((share_of_requests("0.5 %").unwrap() - 0.005).abs() < 1e-12);
        assert!(share_of_requests("0%").unwrap().abs() < 1e-12);
        assert!((times("1.5x").unwrap() - times("1.5").unwrap()).abs() < 1e-12);
        for wrong in ["", "10", "%", "0%", "51%", "-1%", "NaN%", "inf%"] {
            assert!(share_of_workers(wrong).is_err(), "{wrong}");
        }
        for wrong in ["100%", "-1%", "NaN%"] {
            assert!(share_of_requests(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "x", "0.9x", "-2x", "NaN", "infx"] {
            assert!(times(wrong).is_err(), "{wrong}");
        }
    }
}
