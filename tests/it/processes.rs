//! The processes: who there is, what each may cost, and what happens when one is gone.

use crate::harness::{Connection, HELLO, Server, eventually, get, guest, lives, number, strike};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

#[test]
fn there_are_as_many_workers_as_were_asked_for() {
    let server = Server::component(HELLO).workers(3).start();
    assert_eq!(server.workers().len(), 3);
    assert_eq!(
        server.printed().matches("Started server process").count(),
        3
    );
    assert_eq!(server.printed().matches("wasmserve running on").count(), 1);
}

#[test]
fn the_environment_other_servers_honour_is_honoured() {
    let server = Server::component(HELLO)
        .without_port()
        .env("WEB_CONCURRENCY", "2")
        .env("PORT", "0")
        .start();
    assert_eq!(server.workers().len(), 2);
}

#[test]
fn the_supervisor_has_one_thread_and_is_small() {
    let server = Server::component(HELLO).workers(2).start();
    get(server.address, "/");
    assert_eq!(number(server.pid(), "status", "Threads:"), 1);
    let kilobytes = number(server.pid(), "smaps_rollup", "Pss:");
    assert!(kilobytes < 4 << 10, "the supervisor takes {kilobytes} kB");
}

#[test]
fn all_workers_map_the_same_code() {
    let server = Server::component(HELLO).workers(3).start();
    let mapped = |pid: i32| -> Vec<(PathBuf, u64)> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let mut found: Vec<(PathBuf, u64)> = maps
            .lines()
            .filter(|line| line.contains(".cwasm"))
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                (PathBuf::from(fields[5]), fields[4].parse().unwrap())
            })
            .collect();
        found.dedup();
        found
    };
    let workers = server.workers();
    let first = mapped(workers[0]);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(workers.iter().all(|worker| mapped(*worker) == first));
    assert_eq!(mapped(server.pid()), [], "the supervisor maps no code");
}

#[test]
fn without_a_place_to_write_the_code_is_kept_in_memory() {
    let server = Server::component(HELLO)
        .workers(2)
        .env("XDG_CACHE_HOME", "/proc/nowhere")
        .start();
    assert_eq!(get(server.address, "/").status, 200);
    for worker in server.workers() {
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
        assert!(maps.contains("memfd:wasmserve code"), "{maps}");
    }
}

#[test]
fn a_killed_worker_is_replaced_and_the_others_answer_meanwhile() {
    let server = Server::component(HELLO).workers(2).start();
    for round in 1..=3 {
        let victim = server.workers()[0];
        strike(victim, Signal::SIGKILL);
        for _ in 0..20 {
            assert_eq!(get(server.address, "/").status, 200);
        }
        server.wait_for(&format!("Child process [{victim}] died: killed by SIGKILL"));
        server.wait_for_count("Application startup complete.", 2 + round);
        eventually("there are two workers", || server.workers().len() == 2);
    }
}

#[test]
fn a_killed_worker_loses_no_queued_connection() {
    let server = Server::component(HELLO).workers(1).start();
    let worker = server.workers()[0];
    strike(worker, Signal::SIGSTOP);
    let mut queued: Vec<Connection> = (0..20).map(|_| server.connect()).collect();
    for connection in &mut queued {
        connection.get("/").send().unwrap();
    }
    strike(worker, Signal::SIGKILL);
    for connection in &mut queued {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_closes_to_others_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::component(guest("behaviours")).workers(2).start();
        let _idle = server.connect();
        let mut half_sent = server.connect();
        half_sent.write("GET / HT").unwrap();
        let mut busy = server.connect();
        busy.get("/slow-stream?n=4&ms=150").send().unwrap();
        busy.head().unwrap();
        server.signal(signal);
        server.wait_for("Shutting down");
        eventually("the port is closed", || {
            TcpStream::connect(server.address).is_err()
        });
        let mut chunks = 0;
        while busy.chunk().unwrap().is_some() {
            chunks += 1;
        }
        assert_eq!(chunks, 4);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!server.printed().contains("died"), "{}", server.printed());
    }
}

#[test]
fn what_does_not_finish_in_time_is_killed() {
    let mut server = Server::component(guest("behaviours"))
        .arg("--timeout-graceful-shutdown=300ms")
        .start();
    let mut busy = server.connect();
    busy.get("/sleep?ms=20000").send().unwrap();
    eventually("it is being answered", || {
        get(server.address, "/").status == 200
    });
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(busy.response().is_err());
}

#[test]
fn quit_and_a_second_interrupt_do_not_wait() {
    for signals in [&[Signal::SIGQUIT][..], &[Signal::SIGINT, Signal::SIGINT]] {
        let mut server = Server::component(guest("behaviours")).start();
        let mut busy = server.connect();
        busy.get("/slow-stream?n=100&ms=300").send().unwrap();
        busy.head().unwrap();
        for (number, signal) in signals.iter().enumerate() {
            if number > 0 {
                // Two signals of one number that come at once are one (signal(7)).
                server.wait_for("Shutting down");
            }
            server.signal(*signal);
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn workers_leave_when_the_supervisor_is_killed() {
    let mut server = Server::component(HELLO).workers(2).start();
    let workers = server.workers();
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("the workers are gone", || {
        !workers.iter().any(|worker| lives(*worker))
    });
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn orphans_become_its_children_and_are_reaped() {
    let script = "(sleep 600 & wait) & exec \"$0\" \"$@\"";
    let server = Server::component(HELLO).under(["sh", "-c", script]).start();
    let named = |pid: i32, name: &str| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let children = server.children();
    let shell = children.into_iter().find(|pid| named(*pid, "sh"));
    let shell = shell.expect("the shell that was there before it");
    strike(shell, Signal::SIGKILL);
    let mut orphan = None;
    eventually("the shell's child has become one of the server's", || {
        let mut children = server.children().into_iter();
        orphan = children.find(|pid| named(*pid, "sleep"));
        orphan.is_some()
    });
    let orphan = orphan.unwrap();
    strike(orphan, Signal::SIGKILL);
    eventually("both are reaped", || {
        let children = server.children();
        !children.contains(&orphan) && !children.contains(&shell)
    });
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn a_killed_worker_leaves_no_zombie() {
    let server = Server::component(HELLO).workers(2).start();
    strike(server.workers()[0], Signal::SIGKILL);
    server.wait_for("died");
    eventually("there are two workers that live", || {
        let workers = server.workers();
        workers.len() == 2 && workers.into_iter().all(lives)
    });
}
