//! Workers of a large component are forked from a process that has loaded it.

use crate::harness::{Connection, Server, compiled, eventually, get, lives, number, strike};
use nix::sys::signal::Signal;
use std::collections::HashSet;
use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn workers_share_what_was_loaded() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(3).start();
    assert!(server.zygote().is_some());
    assert_eq!(server.workers().len(), 3);
    for worker in server.workers() {
        let dirty = ["Shared_Dirty:", "Private_Dirty:"];
        let [shared, private] = dirty.map(|name| number(worker, "smaps_rollup", name));
        assert!(
            shared > private,
            "{shared} kB shared, {private} kB of its own"
        );
    }
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn no_two_workers_have_the_same_randomness() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(4).start();
    // Every worker answers some of these, and each begins at its beginning.
    let mut connections: Vec<Connection> = (0..32).map(|_| server.connect()).collect();
    let mut seen = HashSet::new();
    for connection in &mut connections {
        let response = connection.get("/random").response().unwrap();
        let text = response.text();
        let id = response.header("x-request-id").unwrap();
        let random: Vec<&str> = text.lines().chain([id]).collect();
        assert_eq!(random.len(), 4);
        for random in random {
            assert!(seen.insert(random.to_owned()), "twice: {random}");
        }
    }
}

#[test]
fn one_that_is_killed_is_replaced_and_workers_are_forked_all_the_while() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(2).start();
    let mut last = 0;
    for round in 1..=3 {
        let first = server.zygote().unwrap();
        assert_ne!(first, last);
        last = first;
        let victim = server.workers()[0];
        strike(first, Signal::SIGKILL);
        strike(victim, Signal::SIGKILL);
        server.wait_for(&format!("Child process [{victim}] died: killed by SIGKILL"));
        server.wait_for_count("Application startup complete.", 2 + round);
        assert_eq!(get(server.address, "/").status, 200);
        eventually("there are two workers and another zygote", || {
            server.workers().len() == 2 && server.zygote().is_some_and(|pid| pid != first)
        });
    }
}

#[test]
fn one_that_does_not_answer_is_done_without() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(1).start();
    let zygote = server.zygote().unwrap();
    let victim = server.workers()[0];
    strike(zygote, Signal::SIGSTOP);
    strike(victim, Signal::SIGKILL);
    server.wait_for_count("Application startup complete.", 2);
    assert_eq!(get(server.address, "/").status, 200);
    eventually("another is there", || {
        server.zygote().is_some_and(|pid| pid != zygote)
    });
}

/// The supervisor has one thread: what it waited for, everybody would wait for.
#[test]
fn nothing_waits_for_one_that_does_not_answer() {
    let component = compiled("behaviours");
    let mut server = Server::component(&component).workers(2).start();
    let victim = server.workers()[0];
    strike(server.zygote().unwrap(), Signal::SIGSTOP);
    strike(victim, Signal::SIGKILL);
    server.wait_for(&format!("Child process [{victim}] died"));
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_reload_has_one_of_its_own() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(2).start();
    let first = server.zygote().unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 4);
    eventually("the first is gone, and another there", || {
        server.workers().len() == 2 && server.zygote().is_some_and(|pid| pid != first)
    });
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn nothing_is_left_of_it_and_the_port_is_closed_at_once() {
    let component = compiled("behaviours");
    let mut server = Server::component(&component).workers(2).start();
    let zygote = server.zygote().unwrap();
    let mut busy = server.connect();
    busy.get("/slow-stream?n=4&ms=150").send().unwrap();
    busy.head().unwrap();
    server.signal(Signal::SIGTERM);
    server.wait_for("Shutting down");
    eventually("the port is closed", || {
        TcpStream::connect(server.address).is_err()
    });
    eventually("it is gone", || {
        fs::metadata(format!("/proc/{zygote}")).is_err()
    });
    assert!(busy.rest().unwrap().ends_with(b"chunk 3\n\r\n0\r\n\r\n"));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn it_does_not_outlive_a_killed_supervisor() {
    let component = compiled("behaviours");
    let server = Server::component(&component).workers(1).start();
    let zygote = server.zygote().unwrap();
    server.signal(Signal::SIGKILL);
    eventually("it is gone", || !lives(zygote));
}
