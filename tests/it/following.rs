//! The number of workers follows the load, between bounds.

use crate::harness::{
    Connection, Server, eventually, finished, get, guest, order, said, wasmserve,
};
use serde_json::Value;

/// One request at a time in each worker, so that a few clients are load enough.
fn start(workers: &str) -> Server {
    let guest = guest("behaviours");
    let options = [
        ["--workers", workers],
        ["--limit-concurrency", "1"],
        ["--timeout-queue", "60s"],
        ["--scale-down-after", "1s"],
    ];
    Server::component(&guest)
        .args(options.as_flattened())
        .start()
}

fn numbers(server: &Server) -> [u64; 3] {
    let status = order(server, &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    ["workers_min", "workers_wanted", "workers_max"].map(|name| status[name].as_u64().unwrap())
}

fn slow(server: &Server) -> Connection {
    let mut connection = server.connect();
    connection
        .get("/sleep?ms=4000")
        .header("Connection", "close")
        .send()
        .unwrap();
    connection
}

#[test]
fn workers_come_while_requests_wait_and_go_when_there_are_none() {
    let server = start("1..3");
    assert_eq!(numbers(&server), [1, 1, 3]);
    let mut clients: Vec<Connection> = (0..6).map(|_| slow(&server)).collect();
    eventually("all workers are there", || server.workers().len() == 3);
    server.wait_for("Changing the number of workers from 1 to 2: they are busy for ");
    for client in &mut clients {
        assert_eq!(client.response().unwrap().text(), "slept\n");
    }
    eventually("one worker is left", || server.workers().len() == 1);
    assert_eq!(numbers(&server), [1, 1, 3]);
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn the_bounds_are_set_by_name() {
    let server = start("1");
    let scaled = order(&server, &["scale", "2..4"]);
    assert_eq!(scaled.status.code(), Some(0), "{}", said(&scaled));
    assert_eq!((numbers(&server), server.workers().len()), ([2, 2, 4], 2));
    let scaled = order(&server, &["scale", "1"]);
    assert_eq!(scaled.status.code(), Some(0), "{}", said(&scaled));
    assert_eq!(numbers(&server), [1, 1, 1]);
    let scaled = order(&server, &["scale", "4..2"]);
    assert!(
        said(&scaled).contains("the lesser number first"),
        "{}",
        said(&scaled)
    );
}

#[test]
fn bounds_the_wrong_way_round_are_refused() {
    let mut command = wasmserve();
    command.args([guest("behaviours").as_str(), "--workers", "8..2"]);
    let refused = finished(command);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(
        text.contains("option --workers: ") && text.contains("write it as 2..8"),
        "{text}"
    );
}

/// A worker that may take so much is not started where there is none for it.
#[test]
fn there_are_no_more_workers_than_there_is_memory_for() {
    let component = guest("behaviours");
    let memory = ["--workers", "1..512", "--max-worker-memory", "100000GiB"];
    let server = Server::component(&component).args(memory).start();
    server
        .wait_for("There is memory for 1 workers of --max-worker-memory at most, and not for 512");
    assert_eq!(numbers(&server), [1, 1, 1]);
}
