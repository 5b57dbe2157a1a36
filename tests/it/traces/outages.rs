//! Collectors that are slow or away, and exporters that end, cost no request anything; what is lost is counted.

use super::export::exporting;
use crate::harness::collector::{Answer, Collector, Reserved, Span};
use crate::harness::{Server, Watched, eventually, get, guest, order};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use std::collections::HashSet;

const EXPORTED: &str = "wasmserve_spans_exported_total";
const DROPPED: &str = "wasmserve_spans_dropped_total";

fn is_server(span: &Span) -> bool {
    span.kind == SpanKind::Server
}

fn serve(collector: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Watched {
    exporting(collector)
        .arg("--no-access-log")
        .args(arguments)
        .envs(variables)
        .watched()
}

#[test]
fn a_collector_that_is_away_is_told_once_and_gets_its_spans_when_it_is_back() {
    let reserved = Reserved::new();
    let watched = serve(&reserved.url(), &[], &[]);
    (0..10).for_each(|_| assert_eq!(get(watched.server.address, "/").status, 200));
    watched
        .server
        .wait_for("spans cannot be exported to http://127.0.0.1:");
    (0..10).for_each(|_| assert_eq!(get(watched.server.address, "/").status, 200));
    let collector = reserved.listen();
    assert_eq!(collector.wait_for(20, is_server).len(), 20);
    watched
        .server
        .wait_for("Spans are exported to http://127.0.0.1:");
    let told = watched
        .server
        .printed()
        .matches("spans cannot be exported")
        .count();
    assert_eq!(told, 1);
    eventually("each span is counted", || watched.metric(EXPORTED) == 40.0);
    assert_eq!(watched.metric(DROPPED), 0.0);
}

#[test]
fn a_collector_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_says() {
    let collector = Collector::start();
    collector.answers(Answer::Status(429, Some(2)));
    let watched = serve(&collector.url(), &[], &[]);
    get(watched.server.address, "/");
    eventually("the collector was asked", || !collector.heads().is_empty());
    collector.answers(Answer::Accepted);
    assert_eq!(collector.wait_for(1, is_server).len(), 1);
    let times: Vec<_> = collector.heads().iter().map(|(time, _)| *time).collect();
    let pause = times[1] - times[0];
    assert!(pause.as_secs() >= 2, "{pause:?}");
    eventually("each span is counted", || watched.metric(EXPORTED) == 2.0);
}

#[test]
fn spans_that_a_collector_refuses_are_counted() {
    let collector = Collector::start();
    collector.answers(Answer::Status(400, None));
    let watched = serve(&collector.url(), &[], &[]);
    get(watched.server.address, "/");
    eventually("what was refused is counted", || {
        watched.metric(DROPPED) == 2.0
    });
    watched.server.wait_for("it answered 400");
    collector.answers(Answer::Accepted);
    get(watched.server.address, "/");
    eventually("the next ones are exported", || {
        watched.metric(EXPORTED) == 2.0
    });
    assert_eq!(collector.spans().len(), 2);
}

/// A collector that accepts connections and nothing else is what a full one looks like.
#[test]
fn a_collector_that_does_not_answer_costs_spans_and_no_requests() {
    let collector = Collector::start();
    collector.answers(Answer::Nothing);
    let limits = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
    ];
    let mut watched = serve(&collector.url(), &limits, &[]);
    (0..200).for_each(|_| assert_eq!(get(watched.server.address, "/").status, 200));
    eventually("what does not fit is dropped", || {
        watched.metric(DROPPED) >= 380.0
    });
    assert_eq!(watched.metric(EXPORTED), 0.0);
    watched.server.signal(Signal::SIGTERM);
    assert_eq!(watched.server.wait().code(), Some(0));
}

/// Without an exporter, workers have room for some spans and count the others; with the next one, all goes on.
#[test]
fn an_exporter_that_ends_is_replaced_and_workers_lose_nothing_that_has_room() {
    let collector = Collector::start();
    let watched = serve(&collector.url(), &[], &["--workers", "2"]);
    eventually("there is an exporter", || {
        watched.server.exporter().is_some()
    });
    get(watched.server.address, "/");
    assert_eq!(collector.wait_for(1, is_server).len(), 1);
    let first = watched.server.exporter().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("it is gone", || watched.server.exporter() != Some(first));
    (0..50).for_each(|_| assert_eq!(get(watched.server.address, "/").status, 200));
    let spans = collector.wait_for(51, is_server);
    eventually("another is there", || {
        watched
            .server
            .exporter()
            .is_some_and(|exporter| exporter != first)
    });
    let ids: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!((spans.len(), ids.len()), (51, 51));
}

#[test]
fn each_span_arrives_once_across_reloads_and_a_new_executable() {
    let collector = Collector::start();
    let watched = serve(&collector.url(), &[], &["--workers", "2"]);
    let server = &watched.server;
    let mut asked = 0;
    let mut ask = || {
        (0..20).for_each(|_| assert_eq!(get(server.address, "/").status, 200));
        asked += 20;
    };
    ask();
    assert_eq!(order(server, &["reload"]).status.code(), Some(0));
    ask();
    eventually("there is an exporter", || server.exporter().is_some());
    let first = server.exporter();
    server.signal(Signal::SIGUSR2);
    server.wait_for("The executable was replaced");
    ask();
    eventually("the exporter is another process", || {
        server.exporter().is_some() && server.exporter() != first
    });
    ask();
    let spans = collector.wait_for(asked, is_server);
    eventually("each span is counted", || {
        watched.metric(EXPORTED) == 2.0 * f64::from(u32::try_from(asked).unwrap())
    });
    let ids: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(
        (collector.wait_for(asked, is_server).len(), ids.len()),
        (asked, asked)
    );
    assert_eq!(watched.metric(DROPPED), 0.0);
}

/// Another collector is asked from the next version on, and none where that one has none.
#[test]
fn a_reload_may_name_another_collector() {
    let (one, other) = (Collector::start(), Collector::start());
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("collector-{}.toml", std::process::id()));
    let write = |url: &str| std::fs::write(&file, format!("otlp-endpoint = \"{url}\"\n")).unwrap();
    write(&one.url());
    let watched = Server::component(guest("behaviours"))
        .option("--config-file", &file)
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .watched();
    get(watched.server.address, "/");
    one.wait_for(1, is_server);
    write(&other.url());
    assert_eq!(order(&watched.server, &["reload"]).status.code(), Some(0));
    get(watched.server.address, "/");
    other.wait_for(1, is_server);
    assert_eq!(one.wait_for(1, is_server).len(), 1);
    std::fs::write(&file, "").unwrap();
    assert_eq!(order(&watched.server, &["reload"]).status.code(), Some(0));
    eventually("the exporter is gone", || {
        watched.server.exporter().is_none()
    });
    let _ = std::fs::remove_file(&file);
}
