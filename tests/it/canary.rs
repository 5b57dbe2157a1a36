//! Reloads that compare the new version with the old one before all workers have it.

use crate::harness::{
    Connection, Folder, HELLO, Response, Server, Start, Variant, eventually, get, order, refused,
    root, said,
};
use nix::sys::signal::Signal;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;

/// The old version answers the first, and the new one the second.
const OLD: &str = "Hello, world!\n";
const NEW: &str = "00000002orld!\n";

/// `Application` is one in a folder, whose old version never fails.
struct Application {
    folder: Folder,
    new: String,
}

impl Application {
    /// The new version fails one of so many requests; nought where it fails none.
    fn new(name: &str, one_fails_of: u64) -> Application {
        let draws = format!(
            "(if (i64.eqz (i64.rem_u (call $draw) (i64.const {one_fails_of}))) (then unreachable))"
        );
        let draws = if one_fails_of > 0 { &draws } else { "" };
        let variant = Variant {
            component: r#"(import "wasi:random/random@0.2.0" (instance $random
                            (export "get-random-u64" (func (result u64)))))
                          (core func $draw (canon lower (func $random "get-random-u64")))"#,
            imports: r#"(import "host" "draw" (func $draw (result i64)))"#,
            exports: r#"(export "draw" (func $draw))"#,
            before: &format!("{draws} (call $hex (i32.const 2))"),
            ..Variant::default()
        };
        let application = Application {
            folder: Folder::new(&format!("canary-{name}")),
            new: variant.write(&format!("canary-{name}")),
        };
        fs::copy(root().join(HELLO), application.path()).unwrap();
        application
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.wat")
    }

    fn serve(&self, workers: usize) -> Start {
        let start = Server::component(self.path()).workers(workers);
        start.arg("--no-access-log")
    }

    fn deploy(&self) {
        fs::copy(&self.new, self.path()).unwrap();
    }
}

/// `Seen` counts what clients were answered.
#[derive(Default)]
struct Seen {
    old: AtomicU64,
    new: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    done: AtomicBool,
}

/// `Clients` ask again and again, each time on another connection.
struct Clients {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn ask(address: SocketAddr) -> Clients {
        Clients::begin(8, move |seen| seen.take(address))
    }

    /// Each stays with its connection until it is told that an answer was the last.
    fn stay(address: SocketAddr, path: &'static str) -> Clients {
        Clients::begin(3, move |seen| {
            let mut connection = Connection::open(address);
            while !seen.done.load(SeqCst) {
                let answer = connection.get(path).response();
                let closes = |answer: &Response| answer.header("connection") == Some("close");
                let is_last = answer.as_ref().is_ok_and(closes);
                seen.count(answer);
                if is_last {
                    break;
                }
            }
        })
    }

    fn begin(count: usize, ask: impl Fn(&Seen) + Copy + Send + 'static) -> Clients {
        let seen = Arc::new(Seen::default());
        let threads = (0..count).map(|_| {
            let seen = seen.clone();
            std::thread::spawn(move || {
                while !seen.done.load(SeqCst) {
                    ask(&seen);
                }
            })
        });
        Clients {
            threads: threads.collect(),
            seen,
        }
    }

    fn end(mut self) -> Arc<Seen> {
        self.seen.done.store(true, SeqCst);
        self.threads.drain(..).for_each(|it| it.join().unwrap());
        self.seen.clone()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.seen.done.store(true, SeqCst);
    }
}

impl Seen {
    fn take(&self, address: SocketAddr) {
        let asked = Connection::try_open(address);
        self.count(asked.and_then(|mut connection| connection.get("/").response()));
    }

    fn count(&self, answer: io::Result<Response>) {
        let counter = match answer {
            Ok(answer) if answer.status == 500 => &self.failed,
            Ok(answer) if answer.text() == OLD => &self.old,
            Ok(answer) if answer.text() == NEW => &self.new,
            _ => &self.lost,
        };
        counter.fetch_add(1, SeqCst);
    }

    fn counts(&self) -> [u64; 4] {
        [&self.old, &self.new, &self.failed, &self.lost].map(|it| it.load(SeqCst))
    }
}

/// A version that passes its start and fails some requests would be given to everybody.
#[test]
fn a_version_that_fails_one_request_in_twenty_is_taken_back_and_nothing_is_lost() {
    for workers in [1, 4] {
        let application = Application::new(&format!("bad-{workers}"), 20);
        let server = application
            .serve(workers)
            .args(["--canary", "10%", "--canary-time", "50s"])
            .start();
        let old = server.workers();
        let clients = Clients::ask(server.address);
        application.deploy();
        let reloaded = order(&server, &["reload"]);
        assert_eq!(reloaded.status.code(), Some(3), "{}", said(&reloaded));
        let why = "the canary of version 2 was rolled back: it fails";
        assert!(said(&reloaded).contains(why), "{}", said(&reloaded));
        eventually("its workers have left", || server.workers() == old);
        let [old, new, failed, lost] = clients.end().counts();
        assert_eq!(lost, 0);
        assert!(new > 0 && failed > 0, "{new} {failed}");
        let share = failed as f64 / (old + new + failed) as f64;
        assert!(share < 0.1, "{failed} of {}", old + new + failed);
        let reloads = &server.status()["reloads"];
        assert_eq!(
            (&reloads["rolled_back"], &reloads["generation"]),
            (&1.into(), &1.into())
        );
        // Who starts later has the version that is served, and not what is on the disk.
        let first = server.workers()[0];
        let restarted = order(&server, &["restart-worker", &first.to_string()]);
        assert_eq!(restarted.status.code(), Some(0), "{}", said(&restarted));
        (0..20).for_each(|_| assert_eq!(get(server.address, "/").text(), OLD));
    }
}

#[test]
fn a_good_version_is_promoted_and_nothing_is_lost() {
    for workers in [1, 3] {
        let application = Application::new(&format!("good-{workers}"), 0);
        // That a busy machine makes one of them slower is not what this is about.
        let server = application
            .serve(workers)
            .args([
                "--canary",
                "10%",
                "--canary-time",
                "3s",
                "--canary-max-latency",
                "1000x",
            ])
            .start();
        let clients = Clients::ask(server.address);
        application.deploy();
        let reloaded = order(&server, &["reload"]);
        assert_eq!(reloaded.status.code(), Some(0), "{}", said(&reloaded));
        assert!(
            said(&reloaded).contains("version 2 is served"),
            "{}",
            said(&reloaded)
        );
        let [old, new, failed, lost] = clients.end().counts();
        assert_eq!((failed, lost), (0, 0));
        assert!(old > 0 && new > 0, "{old} {new}");
        let promoted = server.wait_for("Canary: version 2 is promoted: it has failed 0 of ");
        assert!(promoted.contains("the old version 0 of "), "{promoted}");
        eventually("there are as many workers as before", || {
            server.workers().len() == workers
        });
        (0..20).for_each(|_| assert_eq!(get(server.address, "/").text(), NEW));
    }
}

/// Deploys a version that fails some requests, to clients that keep their connections open.
fn is_rolled_back_for_those_who_stay(
    application: &Application,
    server: &Server,
    path: &'static str,
    reload: &[&str],
) {
    let clients = Clients::stay(server.address, path);
    eventually("they are there", || clients.seen.counts()[0] > 100);
    application.deploy();
    let reloaded = order(server, reload);
    assert_eq!(reloaded.status.code(), Some(3), "{}", said(&reloaded));
    let why = "the canary of version 2 was rolled back: it fails";
    assert!(said(&reloaded).contains(why), "{}", said(&reloaded));
    let [_, new, failed, lost] = clients.end().counts();
    assert_eq!(lost, 0);
    assert!(new > 0 && failed > 0, "{new} {failed}");
}

/// A proxy keeps its connections open for hours: the new version would have no request of it.
#[test]
fn clients_that_stay_meet_the_new_version_too_and_lose_nothing() {
    let application = Application::new("stay", 20);
    let server = application
        .serve(4)
        .args(["--canary", "10%", "--canary-time", "40s"])
        .start();
    is_rolled_back_for_those_who_stay(&application, &server, "/", &["reload"]);
}

/// The front asks what is mounted over few connections, each with many requests.
#[test]
fn the_canary_of_a_mount_has_its_share_of_the_requests() {
    let application = Application::new("mounted", 20);
    let file = application.folder.file("site.toml");
    let text = format!(
        "[mount.\"/app\"]\ncomponent = \"{}\"\nworkers = 2\ncanary = \"50%\"\n\
         canary-time = \"40s\"\n",
        application.path().display()
    );
    fs::write(&file, text).unwrap();
    let server = Server::configured().option("--config-file", file);
    let server = server.arg("--no-access-log").start();
    let reload = ["reload", "--mount", "/app"];
    is_rolled_back_for_those_who_stay(&application, &server, "/app", &reload);
}

/// Whoever asked for the second reload was told nothing, and whoever asked for the first that it had failed.
#[test]
fn each_reload_is_told_what_came_of_its_own_version() {
    let application = Application::new("each", 0);
    let server = application
        .serve(1)
        .args(["--canary", "10%", "--canary-time", "1h"])
        .start();
    application.deploy();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| order(&server, &["reload"]));
        server.wait_for("Canary: version 2 is compared");
        fs::write(application.path(), "(component)").unwrap();
        let second = order(&server, &["reload"]);
        assert_eq!(second.status.code(), Some(3), "{}", said(&second));
        assert!(said(&second).contains("it exports no wasi:http handler"));
        let promoted = order(&server, &["promote"]);
        assert_eq!(promoted.status.code(), Some(0), "{}", said(&promoted));
        let first = first.join().unwrap();
        assert_eq!(first.status.code(), Some(0), "{}", said(&first));
        assert!(said(&first).contains("version 2 is served"));
    });
    assert!(server.status()["reloads"]["last"]["reason"].is_null());
}

/// Whoever deploys may know more than figures say.
#[test]
fn a_canary_is_shown_and_decided_by_hand() {
    let application = Application::new("by-hand", 0);
    let watched = application
        .serve(2)
        .args(["--canary", "10%", "--canary-time", "1h"])
        .watched();
    let server = &watched.server;
    for command in ["promote", "rollback"] {
        let refused = order(server, &[command]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(
            said(&refused).contains("no canary runs"),
            "{}",
            said(&refused)
        );
    }
    application.deploy();
    server.signal(Signal::SIGHUP);
    server.wait_for(
        "Canary: version 2 is compared for 3600 s, by 1 worker beside 2 of the old version",
    );
    eventually("it is shown", || {
        let canary = &watched.json("/status")["reloads"]["canary"];
        canary["generation"] == 2 && canary["workers"] == 1 && canary["state"] == "comparing"
    });
    assert!(watched.metric("wasmserve_canary_version") >= 2.0);
    let status = order(server, &["status"]);
    assert!(
        said(&status).contains("canary     version 2, workers 1, "),
        "{}",
        said(&status)
    );
    // The number of workers is the operator's meanwhile, too.
    let scaled = order(server, &["scale", "3"]);
    assert_eq!(scaled.status.code(), Some(0), "{}", said(&scaled));
    assert!(said(&scaled).contains("3 workers serve, and 1 of the canary"));
    assert_eq!(server.workers().len(), 4);
    server.signal(Signal::SIGUSR2);
    server.wait_for("Not replacing the executable: a canary runs");
    let back = order(server, &["rollback"]);
    assert_eq!(back.status.code(), Some(0), "{}", said(&back));
    assert!(said(&back).contains("version 2 is rolled back, and version 1 is served"));
    eventually("its worker has left", || server.workers().len() == 3);
    assert_eq!(get(server.address, "/").text(), OLD);
    server.signal(Signal::SIGHUP);
    server.wait_for("Canary: version 3 is compared");
    let promoted = order(server, &["promote"]);
    assert_eq!(promoted.status.code(), Some(0), "{}", said(&promoted));
    assert!(
        said(&promoted).contains("version 3 is served"),
        "{}",
        said(&promoted)
    );
    assert_eq!(get(server.address, "/").text(), NEW);
    let counted = |outcome| {
        watched.metric(&format!(
            "wasmserve_canaries_total{{outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!((counted("promoted"), counted("rolled_back")), (1.0, 1.0));
    assert_eq!(watched.metric("wasmserve_canary_version"), 0.0);
}

#[test]
fn a_canary_without_traffic_does_what_it_was_told() {
    let application = Application::new("idle", 0);
    let server = application
        .serve(1)
        .args([
            "--canary-time",
            "1s",
            "--canary-without-traffic",
            "rollback",
        ])
        .start();
    application.deploy();
    let reloaded = order(&server, &["reload", "--canary"]);
    assert_eq!(reloaded.status.code(), Some(3), "{}", said(&reloaded));
    assert!(
        said(&reloaded).contains("too few requests have come"),
        "{}",
        said(&reloaded)
    );
    assert_eq!(get(server.address, "/").text(), OLD);
    // Without being asked for one there is none.
    let reloaded = order(&server, &["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", said(&reloaded));
    assert_eq!(get(server.address, "/").text(), NEW);
}

#[test]
fn what_makes_no_sense_of_a_canary_is_refused() {
    for (option, value) in [
        ("--canary", "0%"),
        ("--canary", "60%"),
        ("--canary", "10"),
        ("--canary-time", "0s"),
        ("--canary-max-failures", "100%"),
        ("--canary-max-latency", "0.5x"),
        ("--canary-without-traffic", "guess"),
    ] {
        refused(&[HELLO, option, value], 2, &[option, value]);
    }
}
