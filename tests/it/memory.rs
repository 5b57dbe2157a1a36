//! Memory is one account: what an instance takes, what the host holds for it, and what all of them take together.

use crate::harness::{Connection, Server, get, guest, root};
use crate::harness::{HELLO, peak, refused};
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

/// What a test allows beyond a bound: buffers of the connections, and what the allocator keeps.
const SLACK: u64 = 64 * MIB;

/// Has a guest of `name` hold what `query` says, with 64 MiB for each instance: it fails, and its worker stays small
/// and goes on.
fn is_bounded(name: &str, options: &[&str], query: &str) {
    let server = Server::component(guest(name))
        .arg("--max-memory=64MiB")
        .args(options)
        .start();
    let before = server.workers();
    assert_eq!(get(server.address, "/ok").status, 200);
    let base = peak(before[0]);
    assert_eq!(get(server.address, query).status, 500, "{name} {query}");
    server.wait_for("(--max-memory)");
    let taken = peak(before[0]) - base;
    assert!(taken <= 64 * MIB + SLACK, "{name} {query}: {taken} bytes");
    assert_eq!(get(server.address, "/ok").status, 200);
    assert_eq!(server.workers(), before);
}

#[test]
fn fields_count() {
    for name in ["behaviours", "behaviours-p3"] {
        let query = "/hold?what=fields&n=900&bytes=120000";
        is_bounded(name, &[], query);
        is_bounded(name, &["--reuse", "10"], query);
    }
    let shared = ["--reuse", "100", "--reuse-concurrency", "10"];
    is_bounded(
        "behaviours-p3",
        &shared,
        "/hold?what=fields&n=900&bytes=120000",
    );
}

#[test]
fn heads_of_requests_count() {
    for name in ["behaviours", "behaviours-p3"] {
        is_bounded(name, &[], "/hold?what=methods&n=100&bytes=2000000");
    }
}

#[test]
fn bodies_that_nobody_takes_count() {
    is_bounded("behaviours", &[], "/hold?what=bodies&n=200&bytes=1000000");
}

#[test]
fn listings_of_directories_count() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("listed");
    std::fs::create_dir_all(&directory).unwrap();
    for number in 0..2000 {
        let name = format!("{number}-{}", "x".repeat(200));
        std::fs::write(directory.join(name), "").unwrap();
    }
    let option = format!("{}::/data", directory.display());
    let options = ["--dir", option.as_str()];
    is_bounded("behaviours", &options, "/hold?what=directories&n=900");
    is_bounded("behaviours-p3", &options, "/list?n=900&read=1");
    let newer = Server::component(guest("behaviours-p3"))
        .arg("--max-memory=64MiB")
        .option("--dir", &option)
        .start();
    // One after the other, however many.
    let listed = get(newer.address, "/list?n=300&read=2001").text();
    assert_eq!(listed, "600000 entries\n");
    let component = guest("behaviours");
    let server = Server::component(&component)
        .arg("--max-memory=64MiB")
        .option("--dir", &option)
        .start();
    let held = get(server.address, "/hold?what=directories&n=20");
    assert_eq!(held.text(), "held 20\n");
    let listed = get(server.address, "/files?list=/data").text();
    assert_eq!(listed.lines().count(), 2000);
}

#[test]
fn a_little_may_be_held() {
    for name in ["behaviours", "behaviours-p3"] {
        let server = Server::component(guest(name))
            .arg("--max-memory=64MiB")
            .start();
        for what in ["fields", "methods"] {
            let query = format!("/hold?what={what}&n=100&bytes=100000");
            assert_eq!(get(server.address, &query).text(), "held 100\n");
        }
    }
}

#[test]
fn what_streams_through_is_not_held() {
    let server = Server::component(guest("behaviours"))
        .arg("--max-memory=16MiB")
        .start();
    let answer = get(server.address, "/big?bytes=200000000");
    assert_eq!(answer.body.len(), 200_000_000);
}

/// A component with a large table, that hello.wat is beside it.
fn with_table(elements: u32) -> PathBuf {
    let hello = std::fs::read_to_string(root().join(HELLO)).unwrap();
    let memory = "(memory (export \"memory\") 1)";
    assert!(hello.contains(memory));
    let table = format!("{memory}\n(table {elements} funcref)");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("table-{elements}.wat"));
    std::fs::write(&path, hello.replacen(memory, &table, 1)).unwrap();
    path
}

#[test]
fn tables_count() {
    let fits = with_table(1_000_000);
    let server = Server::component(&fits).arg("--max-memory=64MiB").start();
    assert_eq!(get(server.address, "/").status, 200);
    let large = with_table(20_000_000);
    let arguments = [
        large.to_str().unwrap(),
        "--max-memory",
        "64MiB",
        "--port",
        "0",
    ];
    refused(&arguments, 3, &["--max-memory"]);
}

/// Sixty guests at their limit, at once.
fn sixty(name: &str) {
    let server = Server::component(guest(name))
        .arg("--max-memory=64MiB")
        .arg("--max-worker-memory=256MiB")
        .arg("--timeout-queue=20s")
        .start();
    let before = server.workers();
    let mut clients: Vec<Connection> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/fill?bytes=28000000&ms=200").send().unwrap();
    }
    let mut filled = 0;
    for client in &mut clients {
        let answer = client.response().unwrap();
        match answer.status {
            200 => filled += 1,
            503 => assert!(answer.header("retry-after").is_some()),
            other => panic!("{other}"),
        }
    }
    assert!(filled >= 40, "{filled} of 60 were answered");
    assert_eq!(server.workers(), before);
    let peak = peak(before[0]);
    assert!(peak <= 256 * MIB + SLACK, "{name}: {peak} bytes");
    assert_eq!(get(server.address, "/ok").status, 200);
}

#[test]
fn instances_wait_for_each_other_s_memory() {
    sixty("behaviours");
    sixty("behaviours-p3");
}

#[test]
fn who_finds_no_memory_is_told_to_come_again() {
    let server = Server::component(guest("behaviours"))
        .arg("--max-memory=64MiB")
        .arg("--max-worker-memory=96MiB")
        .arg("--timeout-queue=100ms")
        .start();
    let mut holds: Vec<Connection> = (0..5).map(|_| server.connect()).collect();
    for client in &mut holds {
        client.get("/fill?bytes=28000000&ms=3000").send().unwrap();
    }
    server.wait_for("requests wait for memory");
    let answers: Vec<_> = holds
        .iter_mut()
        .map(|client| client.response().unwrap())
        .collect();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    assert!(!refused.is_empty());
    assert!(
        refused
            .iter()
            .all(|answer| answer.header("retry-after").is_some())
    );
    assert_eq!(get(server.address, "/ok").status, 200);
}
