//! This file makes metrics of a reading. Names and units follow the conventions of Prometheus, and of OpenTelemetry
//! for HTTP.

mod canary;
mod guests;
mod jobs;
mod lines;
mod mounts;

use super::health;
use super::reading::{Reading, WorkerReading};
use crate::log::escape;
use crate::scoreboard::WorkerPhase;
use crate::scoreboard::totals::{self, CLASSES, METHODS};
use canary::canary;
use guests::guests;
use jobs::jobs;
use lines::{MetricsPage, NONE};
use mounts::mounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use serde_json::Value;
use std::fmt::Error;

#[derive(Debug)]
pub struct Metrics(pub Reading);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut page = MetricsPage(encoder);
        requests(&mut page, &self.0)?;
        guests(&mut page, &self.0)?;
        connections(&mut page, &self.0)?;
        processes(&mut page, &self.0)?;
        canary(&mut page, &self.0)?;
        jobs(&mut page, &self.0)?;
        workers(&mut page, &self.0)?;
        mounts(&mut page, &self.0)?;
        about(&mut page, &self.0)
    }
}

fn requests(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let totals = &reading.totals;
    let classes = CLASSES.len();
    let counted = totals.family(totals::RESPONSES).iter().enumerate();
    let counted = counted.map(|(index, count)| (index / classes, index % classes, *count));
    // Those that alerts look for are there from the beginning.
    let shown = counted.filter(|(method, class, count)| *count > 0 || (*method == 0 && *class > 1));
    let labelled = shown.map(|(method, class, count)| {
        let labels = vec![("method", METHODS[method]), ("status", CLASSES[class])];
        (labels, count)
    });
    page.counters(
        "requests",
        "Requests that are over, by method and class of status",
        labelled,
    )?;
    let help = "Time from a request's head to the end of its response";
    let latency = (totals::LATENCY, totals::LATENCY_SUM);
    page.histogram("request_duration", help, reading, latency)?;
    let help = "Time that the guest was running for a request";
    let guest = (totals::GUEST_TIME, totals::GUEST_TIME_SUM);
    page.histogram("guest_duration", help, reading, guest)?;
    let help = "Time that requests waited for their turn, of those that had to";
    page.histogram(
        "request_queue",
        help,
        reading,
        (totals::WAIT, totals::WAIT_SUM),
    )?;
    let sum =
        |of: fn(&WorkerReading) -> u32| reading.workers.iter().map(|it| u64::from(of(it))).sum();
    page.gauge(
        "requests_in_flight",
        "Requests being answered",
        sum(|it| it.in_flight),
    )?;
    page.gauge(
        "requests_queued",
        "Requests that wait for their turn",
        sum(|it| it.waiting),
    )?;
    page.family(
        "requests_refused",
        "Requests answered 503 for want of room, by reason",
        "reason",
        &totals::SHED_KINDS,
        totals.family(totals::SHED),
    )?;
    page.family(
        "guest_failures",
        "Requests that the guest failed, by kind",
        "kind",
        &totals::GUEST_FAILURE_KINDS,
        totals.family(totals::GUEST_FAILURES),
    )?;
    let bytes = |family| [(NONE, totals.one(family))].into_iter();
    page.counters_of(
        "request_body",
        "Bytes of requests' bodies",
        &Unit::Bytes,
        bytes(totals::BYTES_IN),
    )?;
    page.counters_of(
        "response_body",
        "Bytes of responses' bodies",
        &Unit::Bytes,
        bytes(totals::BYTES_OUT),
    )
}

fn connections(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let totals = &reading.totals;
    let accepted = [(NONE, totals.one(totals::CONNECTIONS))].into_iter();
    page.counters(
        "connections_accepted",
        "Connections that were accepted",
        accepted,
    )?;
    page.family(
        "connections",
        "Connections on which requests were spoken, by protocol",
        "protocol",
        &totals::PROTOCOLS,
        totals.family(totals::SPOKEN),
    )?;
    let open = reading.workers.iter().map(|it| u64::from(it.connections));
    page.gauge("connections_open", "Connections that are open", open.sum())?;
    backlogs(page, reading)?;
    page.family(
        "tls_handshakes",
        "TLS handshakes, by outcome",
        "outcome",
        &totals::HANDSHAKE_OUTCOMES,
        totals.family(totals::HANDSHAKES),
    )
}

fn backlogs(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let about: Value = serde_json::from_str(&reading.about).unwrap_or_default();
    let addresses = about["listeners"].as_array().into_iter().flatten();
    let known = addresses.zip(&reading.backlogs);
    let waiting = known.filter_map(|(address, waiting)| {
        let address = address.as_str().unwrap_or_default().to_owned();
        Some((vec![("address", address)], f64::from((*waiting)?)))
    });
    let help = "Connections that wait to be accepted, by address";
    page.gauges("listener_backlog", help, None, waiting)
}

fn processes(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let totals = &reading.totals;
    page.family(
        "worker_ends",
        "Workers that have ended, by reason",
        "reason",
        &totals::END_REASONS,
        totals.family(totals::WORKER_ENDS),
    )?;
    page.family(
        "reloads",
        "Reloads, by outcome",
        "outcome",
        &totals::RELOAD_OUTCOMES,
        totals.family(totals::RELOADS),
    )?;
    for (name, help, family) in [
        (
            "spans_exported",
            "Spans that the collector has accepted",
            totals::SPANS_EXPORTED,
        ),
        (
            "spans_dropped",
            "Spans that were lost: there was no room for them, or the collector did not accept them",
            totals::SPANS_DROPPED,
        ),
    ] {
        page.counters(name, help, [(NONE, totals.one(family))].into_iter())?;
    }
    page.family(
        "log_lines_lost",
        "Lines that could not be written, by log",
        "log",
        &totals::LOGS,
        totals.family(totals::LOG_LINES_LOST),
    )?;
    let states = [
        WorkerPhase::Starting,
        WorkerPhase::Ready,
        WorkerPhase::Draining,
    ];
    let counted = states.into_iter().map(|phase| {
        let count = reading
            .workers
            .iter()
            .filter(|it| it.phase == phase)
            .count();
        (vec![("state", phase_name(phase))], count as f64)
    });
    page.gauges("workers", "Worker processes, by state", None, counted)?;
    page.gauge(
        "workers_wanted",
        "Worker processes that there should be",
        u64::from(reading.numbers.wanted),
    )?;
    page.gauge(
        "workers_min",
        "Worker processes that there should be at least",
        u64::from(reading.numbers.least),
    )?;
    page.gauge(
        "workers_max",
        "Worker processes that there may be as the load grows",
        u64::from(reading.numbers.most),
    )?;
    let cpu = totals.one(totals::CPU) as f64 / 1e6;
    let help = "Processor time of all workers";
    page.counters_of("cpu", help, &Unit::Seconds, [(NONE, cpu)].into_iter())?;
    let memory: u64 = reading.workers.iter().map(|it| it.memory).sum();
    let help = "Memory of all workers (proportional set size)";
    page.gauges(
        "memory",
        help,
        Some(&Unit::Bytes),
        [(NONE, memory as f64)].into_iter(),
    )?;
    let is = |well: bool| u64::from(well);
    page.gauge(
        "live",
        "Whether /livez says yes",
        is(health::live(reading).is_well),
    )?;
    page.gauge(
        "ready",
        "Whether /readyz says yes",
        is(health::ready(reading).is_well),
    )
}

fn workers(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let each = |of: fn(&WorkerReading) -> f64| {
        let workers = reading.workers.iter();
        workers.map(move |it| (vec![("worker", it.slot.to_string())], of(it)))
    };
    let (bytes, seconds, ratio) = (
        &Unit::Bytes,
        &Unit::Seconds,
        &Unit::Other("ratio".to_owned()),
    );
    page.gauges(
        "worker_busy",
        "How much of the time the serving thread was running lately, from 0 to 1",
        Some(ratio),
        each(|it| it.busy),
    )?;
    let help = "Memory of a worker (proportional set size)";
    page.gauges(
        "worker_memory",
        help,
        Some(bytes),
        each(|it| it.memory as f64),
    )?;
    let help = "Processor time of the workers that had this slot";
    let cpu = each(|it| it.cpu_micros as f64 / 1e6);
    page.counters_of("worker_cpu", help, seconds, cpu)?;
    let help = "Connections of a worker";
    page.gauges(
        "worker_connections",
        help,
        None,
        each(|it| f64::from(it.connections)),
    )?;
    let help = "WebSockets that are open in a worker";
    page.gauges(
        "worker_websockets",
        help,
        None,
        each(|it| f64::from(it.websockets)),
    )?;
    let help = "Requests that a worker is answering";
    page.gauges(
        "worker_requests_in_flight",
        help,
        None,
        each(|it| f64::from(it.in_flight)),
    )?;
    let help = "Time since a worker's serving loop said that it is alive";
    let silent = each(|it| it.heartbeat_age.as_secs_f64());
    page.gauges("worker_heartbeat_age", help, Some(seconds), silent)
}

fn about(page: &mut MetricsPage<'_>, reading: &Reading) -> Result<(), Error> {
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    let help = "The version of wasmserve";
    page.gauges("build_info", help, None, [(version, 1.0)].into_iter())?;
    let about: Value = serde_json::from_str(&reading.about).unwrap_or_default();
    let component = &about["component"];
    // Whoever looks at the page may do so on a terminal.
    let text = |name: &str| escape(component[name].as_str().unwrap_or_default()).to_string();
    let labels = vec![
        ("path", text("path")),
        ("digest", text("digest")),
        ("generation", reading.versions.served.to_string()),
    ];
    let help = "The component that is served";
    page.gauges("component_info", help, None, [(labels, 1.0)].into_iter())?;
    let started = reading.started_at_ms as f64 / 1e3;
    let help = "When the server was started, in seconds since 1970";
    page.gauges(
        "start_time",
        help,
        Some(&Unit::Seconds),
        [(NONE, started)].into_iter(),
    )
}

pub fn phase_name(phase: WorkerPhase) -> &'static str {
    match phase {
        WorkerPhase::Free => "free",
        WorkerPhase::Starting => "starting",
        WorkerPhase::Ready => "ready",
        WorkerPhase::Draining => "draining",
    }
}
