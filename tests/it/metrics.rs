//! What is counted of guests: where their instances come from and why they go, and the requests that they send.

use crate::harness::{
    Connection, Folder, HELLO, Server, Upstream, eventually, get, guest, made_anew, order,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixStream;

fn made(reason: &str) -> String {
    format!("wasmserve_instances_made_total{{reason=\"{reason}\"}}")
}

fn dropped(reason: &str) -> String {
    format!("wasmserve_instances_dropped_total{{reason=\"{reason}\"}}")
}

/// What is counted now and then must be counted whole when a worker leaves.
#[test]
fn instances_are_counted_exactly_across_reloads_and_a_new_executable() {
    let behaviours = made_anew("behaviours-p3");
    let watched = Server::component(&behaviours)
        .workers(2)
        .arg("--no-access-log")
        .watched();
    let server = &watched.server;
    let mut seen = 0.0;
    let mut ask = || {
        for _ in 0..15 {
            assert_eq!(get(server.address, "/respond").status, 200);
            seen += 1.0;
        }
        seen
    };
    let count = ask();
    eventually("each request is counted", || {
        watched.metric(&made("each_request")) == count
            && watched.metric(&dropped("finished")) == count
    });
    ask();
    // Without a look at what was counted last.
    assert_eq!(order(server, &["reload"]).status.code(), Some(0));
    let count = ask();
    eventually("the workers that have left have told all", || {
        watched.metric(&made("each_request")) == count
    });
    assert_eq!(
        watched.metric("wasmserve_reloads_total{outcome=\"success\"}"),
        1.0
    );
    server.signal(Signal::SIGUSR2);
    server.wait_for("The executable was replaced");
    eventually("the new executable has replaced the workers", || {
        watched.json("/status")["reloads"]["in_progress"] == false
    });
    let count = ask();
    eventually("nothing is lost or counted twice", || {
        watched.metric(&made("each_request")) == count
            && watched.metric(&dropped("finished")) == count
            && watched.metric("wasmserve_instances") == 0.0
    });
    assert_eq!(
        watched.metric("wasmserve_reloads_total{outcome=\"success\"}"),
        1.0,
        "another executable is no reload"
    );
}

#[test]
fn restored_reused_and_failed_instances_are_told_apart() {
    let watched = Server::component(HELLO).arg("--no-access-log").watched();
    eventually("the first is there", || {
        watched.metric(&made("start")) == 1.0 && watched.metric("wasmserve_instances_pooled") == 1.0
    });
    let mut connection = Connection::open(watched.server.address);
    for _ in 0..20 {
        assert_eq!(connection.get("/").response().unwrap().status, 200);
    }
    // The first request has the instance that was there; one may be asked for before the last is back in the pool.
    eventually("each further request has another", || {
        let restored = watched.metric("wasmserve_instances_restored_total");
        restored > 0.0 && restored + watched.metric(&made("pool_empty")) == 19.0
    });

    let behaviours = guest("behaviours");
    let reusing = Server::component(&behaviours)
        .arg("--reuse=50")
        .arg("--no-access-log")
        .watched();
    let mut connection = Connection::open(reusing.server.address);
    for _ in 0..10 {
        assert_eq!(connection.get("/respond").response().unwrap().status, 200);
    }
    eventually("instances answer again", || {
        let reused = reusing.metric("wasmserve_instances_reused_total");
        reused > 0.0 && reused + reusing.metric(&made("pool_empty")) >= 9.0
    });
    assert_eq!(get(reusing.server.address, "/trap-before-head").status, 500);
    eventually("a failed one is gone", || {
        reusing.metric(&dropped("failed")) >= 1.0
    });
}

#[test]
fn requests_of_guests_are_counted_by_what_came_of_them() {
    let friend = Upstream::friendly();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for name in ["behaviours", "behaviours-p3"] {
        let watched = Server::component(guest(name))
            .arg("--allow-http=127.0.0.1")
            .arg("--timeout-outbound-first-byte=300ms")
            .arg("--no-access-log")
            .watched();
        for authority in [
            friend.address.to_string(),
            // Nobody listens on tcpmux.
            "127.0.0.1:1".to_owned(),
            silent.local_addr().unwrap().to_string(),
            "192.0.2.1:80".to_owned(),
        ] {
            let target = format!("/outbound?authority={authority}");
            assert_eq!(get(watched.server.address, &target).status, 200);
        }
        for (outcome, count) in [
            ("response", 1.0),
            ("unreachable", 1.0),
            ("timeout", 1.0),
            ("denied", 1.0),
            ("error", 0.0),
        ] {
            let metric = format!("wasmserve_outbound_requests_total{{outcome=\"{outcome}\"}}");
            eventually(&format!("{name}: {outcome}"), || {
                watched.metric(&metric) == count
            });
        }
    }
}

/// Whoever waits in the kernel's queue is seen by no worker.
#[test]
fn connections_that_nobody_accepts_are_seen_at_sockets_of_both_kinds() {
    let folder = Folder::new("backlog");
    let socket = folder.file("app.sock");
    let watched = Server::component(HELLO)
        .arg("--timeout-worker-healthcheck=60s")
        .option("--uds", &socket)
        .watched();
    let address = watched.server.address;
    let backlog = |address: &str| {
        watched.metric(&format!(
            "wasmserve_listener_backlog{{address=\"{address}\"}}"
        ))
    };
    let (inet, unix) = (format!("http://{address}"), format!("unix socket {socket}"));
    let page = watched.ask("/metrics").text();
    assert!(
        page.contains(&format!("{{address=\"{unix}\"}} 0.0\n")),
        "{page}"
    );
    assert_eq!((backlog(&inet), backlog(&unix)), (0.0, 0.0));
    let worker = Pid::from_raw(watched.server.workers()[0]);
    kill(worker, Signal::SIGSTOP).unwrap();
    let waiting: Vec<Connection> = (0..5).map(|_| Connection::open(address)).collect();
    let local: Vec<_> = (0..3)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    eventually("eight wait", || {
        (backlog(&inet), backlog(&unix)) == (5.0, 3.0)
    });
    kill(worker, Signal::SIGCONT).unwrap();
    eventually("none waits", || {
        (backlog(&inet), backlog(&unix)) == (0.0, 0.0)
    });
    drop((waiting, local));
}
