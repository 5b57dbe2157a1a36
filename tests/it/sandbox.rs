//! Workers are fenced in before they serve, all of their threads, wherever they come from; nobody else is.

use crate::harness::{Server, eventually, get, guest};
use crate::processes::{number, strike};
use crate::zygote::compiled;
use nix::sys::signal::Signal;
use std::fs;

/// Filters of system calls that each thread of a process has, above the one that it shares with this test.
fn filters(pid: i32) -> Vec<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let task = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let ours = number(std::process::id() as i32, "status", "Seccomp_filters:");
    let filters = |task: String| number(pid, &format!("task/{task}/status"), "Seccomp_filters:");
    tasks
        .map(|entry| filters(task(entry).unwrap()) - ours)
        .collect()
}

fn assert_fenced(server: &Server) {
    for worker in server.workers() {
        assert_eq!(get(server.address, "/").status, 200);
        let filters = filters(worker);
        assert!(filters.len() > 1, "{filters:?}");
        assert!(filters.iter().all(|count| *count == 1), "{filters:?}");
        assert_eq!(number(worker, "status", "NoNewPrivs:"), 1);
    }
    assert_eq!(filters(server.pid()), [0]);
}

#[test]
fn workers_are_fenced_in() {
    let server = Server::start(&[&guest("behaviours"), "--workers", "2"]);
    assert_fenced(&server);
    let first = server.workers()[0];
    strike(first, Signal::SIGKILL);
    eventually("the worker is replaced", || {
        let workers = server.workers();
        workers.len() == 2 && !workers.contains(&first)
    });
    server.wait_for_count("Application startup complete.", 3);
    assert_fenced(&server);
}

#[test]
fn so_are_those_of_a_large_component() {
    let server = Server::start(&[&compiled("behaviours"), "--workers", "2"]);
    assert!(server.zygote().is_some());
    assert_fenced(&server);
}

#[test]
fn an_operator_can_do_without() {
    let server = Server::start(&[&guest("behaviours"), "--no-sandbox"]);
    let worker = server.workers()[0];
    assert!(filters(worker).iter().all(|count| *count == 0));
    let [its, ours] =
        [worker, std::process::id() as i32].map(|pid| number(pid, "status", "NoNewPrivs:"));
    assert_eq!(its, ours);
}
