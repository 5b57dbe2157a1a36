//! What two versions are compared by is what they do, and not what their clients do.

use crate::harness::{Connection, Server, eventually, guest, order};
use serde_json::Value;
use std::time::Duration;

/// A client leaves its answer, or its own body, lie for this long.
const PAUSE: Duration = Duration::from_secs(4);

/// Reads an answer that no buffer takes, after a pause.
fn reads_late(server: &Server) {
    let mut connection = server.connect();
    connection
        .get("/big?bytes=16000000")
        .header("Connection", "close")
        .send()
        .unwrap();
    std::thread::sleep(PAUSE);
    assert_eq!(connection.response().unwrap().body.len(), 16_000_000);
}

/// Sends a body that the guest waits for, after a pause.
fn sends_late(server: &Server) {
    let mut connection: Connection = server.connect();
    let head =
        "POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    connection.write(head).unwrap();
    std::thread::sleep(PAUSE);
    connection.write("12345").unwrap();
    assert_eq!(connection.response().unwrap().status, 200);
}

/// Whoever reads or sends slowly where the new version answers could have it be rolled back.
#[test]
fn how_slowly_clients_read_and_send_says_nothing_about_a_version() {
    let server = Server::component(guest("behaviours"))
        .workers(1)
        .args(["--canary-time", "1h"])
        .start();
    let canary = || server.status()["reloads"]["canary"].clone();
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| order(&server, &["reload", "--canary", "--timeout", "30s"]));
        eventually("there is a canary", || canary()["state"] == "comparing");
        let clients: Vec<_> = (0..4)
            .map(|index| {
                let (server, late) = (&server, [reads_late, sends_late][index % 2]);
                scope.spawn(move || late(server))
            })
            .collect();
        clients.into_iter().for_each(|it| it.join().unwrap());
        let requests = |version: &Value| version["requests"].as_u64().unwrap();
        eventually("all are counted", || {
            let canary = canary();
            requests(&canary["old"]) + requests(&canary["new"]) == 4
        });
        let canary = canary();
        for version in ["old", "new"] {
            let p99 = &canary[version]["p99_seconds"];
            let is_short = p99
                .as_f64()
                .is_none_or(|p99| p99 < PAUSE.as_secs_f64() / 2.0);
            assert!(is_short, "{version}: {p99}");
        }
        order(&server, &["rollback"]);
        reload.join().unwrap();
    });
}
