//! What a guest stores is there for the next request, whichever worker answers it, and stays.

use crate::harness::databases::kill_workers_while;
use crate::harness::limits::limit_files;
use crate::harness::{
    Connection, Redis, Server, SetAtEnd, eventually, finished, get, guest, peak, wasmserve,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// A place for a store that nobody else has.
fn file(name: &str) -> String {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keyvalue");
    std::fs::create_dir_all(&directory).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.join(format!("{name}.db{suffix}")));
    }
    format!("sqlite:{}", directory.join(format!("{name}.db")).display())
}

fn serve(store: &str, workers: &str) -> Server {
    Server::component(guest("behaviours-keyvalue"))
        .option("--keyvalue", store)
        .option("--workers", workers)
        .start()
}

/// Once with each kind of store.
fn with_each_store(name: &str, test: impl Fn(&str)) {
    test(&file(name));
    let redis = Redis::start();
    test(&redis.url());
}

#[test]
fn no_more_is_read_than_the_guest_has_memory_for() {
    with_each_store("large", |store| {
        let server = Server::component(guest("behaviours-keyvalue"))
            .option("--keyvalue", store)
            .arg("--max-memory=64MiB")
            .start();
        let ask = |query: &str| get(server.address, query).text();
        assert_eq!(ask("/set-large?key=a&bytes=5000000"), "()");
        assert_eq!(ask("/get-large?key=a"), "5000000");
        let before = peak(server.workers()[0]);
        let error = ask("/get-large?key=a&times=300");
        assert!(error.contains("memory that is left"), "{error}");
        let taken = peak(server.workers()[0]) - before;
        assert!(taken < 128 << 20, "{taken} bytes");
        assert_eq!(ask("/get-large?key=a&times=2"), "10000000");
        let long = "k".repeat(60_000);
        assert_eq!(ask(&format!("/set?bucket=long&key={long}&value=1")), "()");
        assert_eq!(ask("/list?bucket=long"), format!("[\"{long}\"]"));
        // It is kept with each key.
        let bucket = "b".repeat(1025);
        let error = ask(&format!("/set?bucket={bucket}&value=1"));
        assert!(error.contains("longer than 1024 bytes"), "{error}");
        assert_eq!(ask(&format!("/set?bucket={}&value=1", &bucket[1..])), "()");
    });
}

#[test]
fn everything_that_the_interface_has_works() {
    with_each_store("interface", |store| {
        let server = serve(store, "1");
        let ask = |query: &str| get(server.address, query).text();
        assert_eq!(ask("/get?key=a"), "None");
        assert_eq!(ask("/exists?key=a"), "false");
        assert_eq!(ask("/set?key=a&value=one"), "()");
        assert_eq!(ask("/get?key=a"), "Some(\"one\")");
        assert_eq!(ask("/exists?key=a"), "true");
        assert_eq!(ask("/get?key=a&bucket=other"), "None");
        assert_eq!(ask("/increment?key=n&delta=5"), "5");
        assert_eq!(ask("/increment?key=n"), "6");
        assert_eq!(ask("/get?key=n"), "Some(\"6\")");
        let error = ask("/increment?key=a");
        assert!(
            error.starts_with("error Error::Other(") && error.contains("not a"),
            "{error}"
        );
        assert_eq!(ask("/list"), "[\"a\", \"n\"]");
        assert_eq!(ask("/list?bucket=other"), "[]");
        assert_eq!(ask("/delete?key=a"), "()");
        assert_eq!(ask("/delete?key=a"), "()");
        assert_eq!(ask("/get?key=a"), "None");
        assert_eq!(ask("/fill?bucket=many&key=k&count=2345"), "()");
        assert_eq!(ask("/list?bucket=many").matches("\"k").count(), 2345);
        assert_eq!(
            ask("/get-many?bucket=many&key=k7&key=none"),
            "[Some((\"k7\", \"7\")), None]"
        );
        assert_eq!(ask("/delete-many?bucket=many&key=k7&key=none"), "()");
        assert_eq!(ask("/get-many?bucket=many&key=k7"), "[None]");
        assert_eq!(ask("/get-many?bucket=many"), "[]");
        server.wait_for("WARNING:  the key-value store failed a guest");
    });
}

#[test]
fn what_is_stored_survives_the_server() {
    with_each_store("restart", |store| {
        for round in 1..4 {
            let server = serve(store, "2");
            assert_eq!(get(server.address, "/increment").text(), round.to_string());
        }
    });
}

/// Increments over a connection, as long as it lasts; gives what was acknowledged.
fn increment(address: SocketAddr, times: usize) -> usize {
    let Ok(mut connection) = Connection::try_open(address) else {
        return 0;
    };
    for done in 0..times {
        match connection.get("/increment").response() {
            Ok(response) if response.text().parse::<u64>().is_ok() => {}
            _ => return done,
        }
    }
    times
}

#[test]
fn four_workers_lose_no_increment() {
    with_each_store("hammer", |store| {
        let server = serve(store, "4");
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(increment(server.address, 100), 100));
            }
        });
        eprintln!("{store}: 1600 increments in {:?}", start.elapsed());
        assert_eq!(get(server.address, "/get").text(), "Some(\"1600\")");
    });
}

#[test]
fn a_write_that_was_acknowledged_outlives_its_worker() {
    with_each_store("kill", |store| {
        let server = serve(store, "4");
        let (acknowledged, attempted) = (AtomicU32::new(0), AtomicU32::new(0));
        let broken_off = AtomicU32::new(0);
        let over = AtomicBool::new(false);
        let mut values: HashMap<usize, u64> = HashMap::new();
        std::thread::scope(|scope| {
            let end = SetAtEnd(&over);
            let clients: Vec<_> = (0..8)
                .map(|client| {
                    let (server, acknowledged, attempted, broken_off, over) =
                        (&server, &acknowledged, &attempted, &broken_off, &over);
                    scope.spawn(move || {
                        let mut last = 0;
                        while !over.load(Ordering::Relaxed) {
                            let Ok(mut connection) = Connection::try_open(server.address) else {
                                continue;
                            };
                            for _ in 0..20 {
                                attempted.fetch_add(1, Ordering::Relaxed);
                                match connection.get("/increment").response() {
                                    Ok(response) if response.text().parse::<u64>().is_ok() => {
                                        acknowledged.fetch_add(1, Ordering::Relaxed);
                                    }
                                    Ok(_) => break,
                                    Err(_) => {
                                        broken_off.fetch_add(1, Ordering::Relaxed);
                                        break;
                                    }
                                }
                                let next = last + 1;
                                let set = format!("/set?key=client{client}&value={next}");
                                match connection.get(&set).response() {
                                    Ok(response) if response.text() == "()" => last = next,
                                    _ => break,
                                }
                            }
                        }
                        last
                    })
                })
                .collect();
            kill_workers_while(&server, &acknowledged, || {
                broken_off.load(Ordering::Relaxed) > 0
            });
            drop(end);
            for (client, handle) in clients.into_iter().enumerate() {
                values.insert(client, handle.join().unwrap());
            }
        });
        let text = get(server.address, "/get").text();
        let counted: u32 = text
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap();
        let (least, most) = (acknowledged.into_inner(), attempted.into_inner());
        assert!(
            (least..=most).contains(&counted),
            "{least} acknowledged, {counted} counted, {most} sent"
        );
        for (client, last) in values {
            let text = get(server.address, &format!("/get?key=client{client}")).text();
            let stored = text
                .trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .unwrap_or(0);
            // The one after the last acknowledged may have been written and its answer lost.
            assert!(
                (last..=last + 1).contains(&stored),
                "{last} acknowledged, {stored} stored"
            );
        }
    });
}

#[test]
fn a_redis_that_is_away_is_an_error_and_one_that_is_back_is_used() {
    let mut redis = Redis::start();
    let server = serve(&redis.url(), "1");
    assert_eq!(get(server.address, "/increment").text(), "1");
    redis.stop();
    let said = get(server.address, "/increment").text();
    assert!(said.starts_with("error Error::Other(\"Redis: "), "{said}");
    redis.begin();
    eventually("Redis is used again", || {
        !get(server.address, "/exists").text().starts_with("error")
    });
    assert_eq!(get(server.address, "/increment").text(), "2");
}

#[test]
fn a_component_that_needs_a_store_is_told_how_to_get_one() {
    let mut command = wasmserve();
    command.args([&guest("behaviours-keyvalue"), "--port", "0"]);
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("give --keyvalue sqlite:PATH"), "{printed}");

    let mut command = wasmserve();
    command.args(["inspect", &guest("behaviours-keyvalue")]);
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("offered with --keyvalue"), "{printed}");
}

#[test]
fn a_store_that_cannot_be_is_a_mistake() {
    let none = file("none");
    std::fs::write(
        none.strip_prefix("sqlite:").unwrap(),
        "not a database\n".repeat(100),
    )
    .unwrap();
    for (store, status, said) in [
        (
            "somewhere",
            2,
            "option --keyvalue: it names no store; write sqlite:PATH or redis://HOST:PORT",
        ),
        (
            "sqlite:/not/there/a.db",
            2,
            "option --keyvalue: there is no directory `/not/there`",
        ),
        (
            "rediss://localhost",
            2,
            "option --keyvalue: TLS to Redis is not offered",
        ),
        (&none, 3, "it is a SQLite file that wasmserve may write"),
    ] {
        let mut command = wasmserve();
        command
            .args([&guest("behaviours-keyvalue"), "--port", "0"])
            .args(["--keyvalue", store]);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}

/// The guest is told why, and what others write meanwhile is not lost with it.
#[test]
fn a_store_whose_file_fails_says_so_and_goes_on() {
    let store = file("faults");
    let path = PathBuf::from(store.strip_prefix("sqlite:").unwrap());
    let server = serve(&store, "1");
    let ask = |query: &str| get(server.address, query).text();
    assert_eq!(ask("/set?key=a&value=one"), "()");
    let workers = server.workers();
    limit_files(workers[0], Some(200_000));
    let said = ask("/set-large?key=b&bytes=1000000");
    assert!(
        said.contains("its file cannot be read or written: "),
        "{said}"
    );
    assert_eq!(ask("/get?key=a"), "Some(\"one\")");
    limit_files(workers[0], None);
    assert_eq!(ask("/set-large?key=b&bytes=1000000"), "()");
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::copy(&aside, &path).unwrap();
    for query in ["/set?key=a&value=two", "/get?key=a", "/increment?key=n"] {
        let said = ask(query);
        assert!(
            said.contains("its file was replaced while it is served"),
            "{said}"
        );
    }
    server.wait_for("the key-value store failed a guest: its file was replaced");
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(ask("/set?key=a&value=three"), "()");
    assert_eq!(ask("/get?key=a"), "Some(\"three\")");
    assert_eq!(server.workers(), workers, "no worker has ended");
}
