//! The server seen from inside: health, metrics and status.

use crate::harness::{Connection, HELLO, HOLDING, Server, eventually, get, guest, order, root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;

const GOOD: &str = "wasmserve_requests_total{method=\"GET\",status=\"2xx\"}";

/// Lost counts show as sawteeth in every graph; a counter that starts again at nought is one, too.
#[test]
fn counters_equal_what_clients_saw_across_reloads_and_a_new_executable_and_killed_workers() {
    let watched = Server::component(HELLO)
        .workers(2)
        .arg("--no-access-log")
        .watched();
    let server = &watched.server;
    let mut seen = 0.0;
    let mut ask = |count: u32| {
        for _ in 0..count {
            assert_eq!(get(server.address, "/").status, 200);
            seen += 1.0;
        }
        eventually("what was counted is what was answered", || {
            watched.metric(GOOD) == seen
        });
    };
    ask(20);
    assert_eq!(order(server, &["reload"]).status.code(), Some(0));
    ask(20);
    let worker = server.workers()[0];
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    eventually("the worker is replaced", || {
        let workers = server.workers();
        workers.len() == 2 && !workers.contains(&worker) && watched.is_ready()
    });
    ask(20);
    server.signal(Signal::SIGUSR2);
    server.wait_for("The executable was replaced");
    eventually("the new executable has replaced the workers", || {
        watched.json("/status")["reloads"]["in_progress"] == false
    });
    ask(20);
    let killed = "wasmserve_worker_ends_total{reason=\"killed\"}";
    assert_eq!(watched.metric(killed), 1.0);
    assert_eq!(
        watched.metric("wasmserve_request_duration_seconds_count"),
        seen
    );
    // Another executable is no reload.
    assert_eq!(
        watched.metric("wasmserve_reloads_total{outcome=\"success\"}"),
        1.0
    );
    let refused = get(server.address, "/");
    assert_eq!(
        watched.metric("wasmserve_guest_failures_total{kind=\"trap\"}"),
        0.0
    );
    assert_eq!(refused.status, 200);
}

#[test]
fn requests_are_counted_by_method_and_status_and_failures_by_kind() {
    let behaviours = guest("behaviours");
    let watched = Server::component(&behaviours)
        .arg("--no-access-log")
        .arg("--timeout-request=1s")
        .watched();
    let address = watched.server.address;
    for (path, status) in [
        ("/trap-before-head", 500),
        ("/no-response", 500),
        ("/spin", 504),
    ] {
        assert_eq!(get(address, path).status, status, "{path}");
    }
    assert_eq!(
        Connection::open(address)
            .post("/respond?status=404")
            .body("abc")
            .response()
            .unwrap()
            .status,
        404
    );
    assert_eq!(
        Connection::open(address)
            .request("PROPFIND", "/respond")
            .header("Connection", "close")
            .response()
            .unwrap()
            .status,
        200
    );
    for (name, count) in [
        (
            "wasmserve_requests_total{method=\"GET\",status=\"5xx\"}",
            3.0,
        ),
        (
            "wasmserve_requests_total{method=\"POST\",status=\"4xx\"}",
            1.0,
        ),
        (
            "wasmserve_requests_total{method=\"_OTHER\",status=\"2xx\"}",
            1.0,
        ),
        ("wasmserve_guest_failures_total{kind=\"trap\"}", 1.0),
        ("wasmserve_guest_failures_total{kind=\"no_response\"}", 1.0),
        ("wasmserve_guest_failures_total{kind=\"timeout\"}", 1.0),
        ("wasmserve_requests_in_flight", 0.0),
    ] {
        eventually(name, || watched.metric(name) == count);
    }
}

/// A balancer that is told late sends requests to a server that is gone.
#[test]
fn readiness_ends_first_and_requests_are_answered_until_the_delay_is_over() {
    let mut watched = Server::component(HELLO)
        .arg("--shutdown-delay=3s")
        .watched();
    eventually("it is ready", || watched.is_ready());
    watched.server.signal(Signal::SIGTERM);
    eventually("it is not ready", || !watched.is_ready());
    assert_eq!(get(watched.server.address, "/").status, 200);
    assert_eq!(watched.ask("/livez").status, 200);
    let ready = watched.json("/readyz");
    assert_eq!(ready["reasons"][0], "the server is stopping");
    assert_eq!(watched.server.wait().code(), Some(0));
}

/// A health check that a worker answers says nothing of a server whose workers hang, or says it to nobody.
#[test]
fn workers_that_hang_are_told_of_while_nobody_replaces_them() {
    let watched = Server::component(HELLO)
        .arg("--timeout-worker-healthcheck=2s")
        .watched();
    let server = &watched.server;
    eventually("it is ready", || watched.is_ready());
    // With the supervisor, which would have it replaced.
    let stopped = [server.pid(), server.workers()[0]];
    for pid in stopped {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    }
    eventually("it is not ready", || !watched.is_ready());
    assert_eq!(watched.json("/readyz")["workers"]["hanging"], 1);
    assert_eq!(watched.json("/status")["workers"][0]["state"], "hung");
    eventually("the supervisor is missed", || {
        watched.ask("/livez").status == 503
    });
    for pid in stopped {
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    }
    eventually("all is well again", || {
        watched.is_ready() && watched.ask("/livez").status == 200
    });
}

/// The answers come from a process that no guest runs in.
#[test]
fn probes_are_answered_while_guests_spin_in_every_worker() {
    let watched = Server::component(guest("behaviours"))
        .workers(2)
        .args(["--limit-cpu=300s", "--timeout-request=300s"])
        .watched();
    let address = watched.server.address;
    let spinning: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(address);
            connection.get("/spin").send().unwrap();
            connection
        })
        .collect();
    eventually("all spin", || {
        watched.metric("wasmserve_requests_in_flight") == 8.0
    });
    eventually("the workers are busy", || {
        let busy = watched.ask("/metrics").text();
        let mut busy = busy
            .lines()
            .filter(|line| line.starts_with("wasmserve_worker_busy_ratio{"));
        busy.any(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0)
    });
    assert_eq!(watched.ask("/livez").status, 200);
    let now = watched.json("/status")["workers"].to_string();
    assert!(now.contains("GET /spin"), "{now}");
    drop(spinning);
}

#[test]
fn a_server_that_turns_requests_away_is_not_ready_until_it_has_room_again() {
    let behaviours = guest("behaviours");
    let arguments = [
        "--limit-concurrency",
        "1",
        "--limit-queue",
        "0",
        "--no-access-log",
    ];
    let server = Server::component(&behaviours).args(arguments).args(HOLDING);
    let watched = server.watched();
    let address = watched.server.address;
    let mut busy = Connection::open(address);
    busy.hold();
    eventually("one is in flight", || {
        watched.metric("wasmserve_requests_in_flight") == 1.0
    });
    assert_eq!(get(address, "/respond").status, 503);
    assert!(!watched.is_ready());
    assert_eq!(watched.json("/readyz")["workers"]["shedding"], 1);
    assert_eq!(
        watched.metric("wasmserve_requests_refused_total{reason=\"queue_full\"}"),
        1.0
    );
    busy.release();
    eventually("it has room again", || watched.is_ready());
}

/// What scripts read must be what is written down.
#[test]
fn the_status_is_as_its_schema_says() {
    let watched = Server::component(HELLO).workers(2).watched();
    assert_eq!(get(watched.server.address, "/").status, 200);
    let worker = watched.server.workers()[0];
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    eventually("an end is told of", || {
        watched.json("/status")["ended_workers"][0]["pid"] == worker
    });
    let status = watched.json("/status");
    let schema = fs::read_to_string(root().join("docs/status.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    conforms(&status, &schema, "status");
    assert_eq!(status["component"]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(status["component"]["world"], "wasi:http/proxy@0.2");
    assert_eq!(status["ended_workers"][0]["reason"], "killed");
    assert_eq!(status["pid"], watched.server.pid());
}

/// As much of JSON Schema as the document's own uses.
fn conforms(value: &Value, schema: &Value, place: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let fits = kinds
        .iter()
        .any(|it| it == kind || (it == "number" && kind == "integer"));
    assert!(fits, "{place} is of type {kind}, not {kinds:?}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{place} is {value}");
    }
    match value {
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.for_each(|(index, item)| {
                conforms(item, &schema["items"], &format!("{place}[{index}]"))
            });
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let named = &schema["properties"][name];
                let described = if named.is_null() {
                    &schema["additionalProperties"]
                } else {
                    named
                };
                assert!(described.is_object(), "{place}.{name} is not described");
                conforms(field, described, &format!("{place}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().unwrap()),
                    "{place} lacks {name}"
                );
            }
        }
        _ => {}
    }
}

/// Guards against probes that nobody answers, so that an orchestrator ends a server that is well.
#[test]
fn clients_that_hold_every_connection_keep_no_probe_waiting() {
    let watched = Server::component(HELLO).watched();
    let open = || {
        let mut connection = Connection::open(watched.admin);
        assert_eq!(connection.get("/livez").response().unwrap().status, 200);
        connection
    };
    let mut held: Vec<Connection> = (0..64).map(|_| open()).collect();
    // They may stay for a minute; the oldest makes room.
    for _ in 0..10 {
        assert_eq!(watched.ask("/livez").status, 200);
    }
    assert!(
        held[0].get("/livez").response().is_err(),
        "the oldest is still there"
    );
    assert_eq!(held[63].get("/livez").response().unwrap().status, 200);
    // Nor do those who ask much and read nothing.
    let much = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    for connection in &mut held[40..] {
        connection.write(&much).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(watched.ask("/livez").status, 200);
    }
}
