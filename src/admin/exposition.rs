//! This file writes metrics as text, in the form that the scraper asks for.

use super::metrics::Metrics;
use super::reading::Reading;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use std::fmt;

/// Scrapers ask for one of these two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus has this text format of its own, version 0.0.4.
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// Finds the format that the Accept fields of a request ask for most; Prometheus' own where they do not say.
    pub fn wanted<'a>(accepted: impl Iterator<Item = &'a str>) -> Format {
        let (mut prometheus, mut open_metrics) = (0.0, 0.0);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality = quality.map_or(1.0_f32, |text| text.parse().unwrap_or(0.0));
            let best = match kind.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => &mut open_metrics,
                "text/plain" | "text/*" | "*/*" => &mut prometheus,
                _ => continue,
            };
            *best = quality.max(*best);
        }
        match open_metrics > prometheus {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the metrics of a reading in one of the formats.
pub fn written(reading: Reading, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("wasmserve");
    registry.register_collector(Box::new(Metrics(reading)));
    let mut page = String::new();
    match format {
        Format::Prometheus => prometheus_text::encode(&mut page, &registry)?,
        Format::OpenMetrics => text::encode(&mut page, &registry)?,
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::super::health::tests::{reading, worker};
    use super::*;
    use crate::scoreboard::{Ended, Scoreboard, WorkerPhase};
    use std::time::Duration;

    #[test]
    fn the_form_that_is_wanted_most_is_written() {
        for (accepted, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;q=0.1, text/plain",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=x", Format::Prometheus),
        ] {
            assert_eq!(Format::wanted([accepted].into_iter()), format, "{accepted}");
        }
    }

    #[test]
    fn every_metric_has_its_unit_and_open_metrics_has_an_end() {
        let page = written(
            reading(vec![worker(WorkerPhase::Ready)]),
            Format::OpenMetrics,
        )
        .unwrap();
        assert!(page.ends_with("# EOF\n"));
        for name in [
            "wasmserve_worker_memory_bytes{worker=\"0\"} 12582912",
            "wasmserve_workers{state=\"ready\"} 1",
            "wasmserve_worker_busy_ratio{worker=\"0\"} 0.25",
            "wasmserve_ready 1",
        ] {
            assert!(page.contains(name), "{name} in\n{page}");
        }
    }

    #[test]
    fn a_histogram_ends_with_all_that_was_counted() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let slot = scoreboard.slot(0);
        for micros in [3, 90, 1_000, 5_000_000_000] {
            slot.request_began();
            slot.request_ended(&Ended {
                method: 0,
                status: Some(200),
                received: 0,
                sent: 7,
                took: Duration::from_micros(micros),
                client: Duration::ZERO,
                guest: None,
                failed: false,
            });
        }
        let page = written(Reading::of(&scoreboard), Format::Prometheus).unwrap();
        for line in [
            "wasmserve_requests_total{method=\"GET\",status=\"2xx\"} 4\n",
            "wasmserve_request_duration_seconds_bucket{le=\"0.000128\"} 2\n",
            "wasmserve_request_duration_seconds_bucket{le=\"+Inf\"} 4\n",
            "wasmserve_request_duration_seconds_count 4\n",
            "wasmserve_response_body_bytes_total 28\n",
        ] {
            assert!(page.contains(line), "{line} in\n{page}");
        }
        assert!(!page.contains("EOF"));
    }
}
