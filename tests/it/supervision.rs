//! Workers that hang, grow old or grow large, versions that come and go, and readers that leave.

use crate::harness::{HELLO, Server, eventually, get, guest, lives, root, strike};
use nix::sys::signal::Signal;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// A copy of the greeting that says something else, in a folder of the test's own.
struct Application(PathBuf);

impl Application {
    fn new(name: &str) -> Application {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let application = Application(folder.join("app.wat"));
        application.says("Hello, world!");
        application
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    /// Replaces the file as build tools do: by another of the same name.
    fn says(&self, text: &str) {
        assert_eq!(text.len(), 13);
        let source = fs::read_to_string(root().join(HELLO)).unwrap();
        self.becomes(&source.replace("Hello, world!", text));
    }

    fn becomes(&self, source: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, source).unwrap();
        fs::rename(next, &self.0).unwrap();
    }
}

#[test]
fn a_worker_that_hangs_is_replaced_and_then_killed() {
    let server = Server::component(HELLO)
        .workers(2)
        .arg("--timeout-worker-healthcheck=1s")
        .start();
    get(server.address, "/before");
    let hung = server.workers()[0];
    strike(hung, Signal::SIGSTOP);
    let start = Instant::now();
    server.wait_for(&format!("Child process [{hung}] ended: hung, silent for"));
    assert!(
        start.elapsed() > Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    server.wait_for_count("Application startup complete.", 3);
    eventually("two workers are left", || {
        server.workers().len() == 2 && !server.workers().contains(&hung)
    });
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn a_worker_that_grows_old_or_large_is_recycled() {
    for (option, value, reason) in [
        ("--max-worker-lifetime", "1s", "recycled for its age"),
        ("--max-worker-rss", "1MiB", "recycled for its memory"),
    ] {
        let server = Server::component(HELLO).arg(option).arg(value).start();
        server.wait_for(reason);
        assert_eq!(get(server.address, "/").status, 200);
        assert!(!server.printed().contains("died"), "{}", server.printed());
    }
}

#[test]
fn zero_switches_off_what_replaces_workers_and_ends_servers() {
    let server = Server::component(HELLO)
        .arg("--limit-max-requests=0")
        .arg("--max-worker-rss=0")
        .arg("--max-worker-lifetime=0")
        .arg("--exit-idle=0")
        .start();
    let workers = server.workers();
    // Longer than the beats at which the supervisor looks at them.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(get(server.address, "/").status, 200);
    assert_eq!(server.workers(), workers, "{}", server.printed());
}

#[test]
fn a_reload_serves_the_new_version() {
    let application = Application::new("reload");
    let server = Server::component(application.path()).workers(2).start();
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    application.says("Hello, again!");
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, again!\n");
}

#[test]
fn a_changed_file_is_a_reload_where_that_is_wanted() {
    let application = Application::new("watch");
    let server = Server::component(application.path())
        .arg("--reload")
        .start();
    application.says("Hello, again!");
    server.wait_for_count("ended: replaced by a reload", 1);
    assert_eq!(get(server.address, "/").text(), "Hello, again!\n");
}

#[test]
fn a_version_that_does_not_start_leaves_the_old_one_serving() {
    let application = Application::new("broken");
    let server = Server::component(application.path()).workers(2).start();
    let before = server.workers();
    application.becomes("(component)");
    server.signal(Signal::SIGHUP);
    let line = server.wait_for("The reload failed");
    assert!(line.contains("exports no wasi:http handler"), "{line}");
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    assert_eq!(server.workers(), before);
    application.says("Hello, again!");
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, again!\n");
}

#[test]
fn a_request_in_flight_outlives_a_reload() {
    let server = Server::component(guest("behaviours")).workers(1).start();
    let mut busy = server.connect();
    busy.get("/slow-stream?n=5&ms=200").send().unwrap();
    busy.head().unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 2);
    let mut chunks = 0;
    while busy.chunk().unwrap().is_some() {
        chunks += 1;
    }
    assert_eq!(chunks, 5);
}

#[test]
fn an_idle_connection_is_told_that_its_next_answer_is_the_last() {
    let server = Server::component(HELLO).workers(1).start();
    let mut kept = server.connect();
    assert_eq!(kept.get("/").response().unwrap().header("connection"), None);
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 2);
    eventually("an answer says that it is the last", || {
        let answer = kept.get("/").response().unwrap();
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    });
}

#[test]
fn a_delayed_stop_goes_on_serving_meanwhile() {
    let mut server = Server::component(HELLO).arg("--shutdown-delay=1s").start();
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    server.wait_for("Shutting down in 1 s");
    assert_eq!(get(server.address, "/").status, 200);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_closed_log_does_not_end_the_server() {
    let mut server = Server::component(HELLO).start();
    // Its output goes to pipes that nobody reads any more.
    server.stop_reading();
    for _ in 0..10 {
        assert_eq!(get(server.address, "/").status, 200);
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_worker_that_is_busy_leaves_too_when_the_supervisor_is_killed() {
    let mut server = Server::component(guest("behaviours"))
        .arg("--timeout-graceful-shutdown=1s")
        .start();
    let worker = server.workers()[0];
    let mut busy = server.connect();
    busy.get("/sleep?ms=600000").send().unwrap();
    server.answers_now(1);
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("the worker is gone", || !lives(worker));
}

#[test]
fn the_executable_is_replaced_and_nothing_is_lost() {
    let server = Server::component(HELLO).workers(2).start();
    let before = server.workers();
    let mut kept = server.connect();
    kept.get("/").response().unwrap();
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Application startup complete.", 4);
    eventually("the old workers are gone", || {
        let now = server.workers();
        now.len() == 2 && !now.iter().any(|worker| before.contains(worker))
    });
    // The connection that was kept is answered, or was closed while nothing was asked on it.
    match kept.get("/").response() {
        Ok(answer) => assert_eq!(answer.status, 200),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}"),
    }
    assert_eq!(get(server.address, "/").status, 200);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    assert!(status.contains("Threads:\t1\n"), "{status}");
}

#[test]
fn an_executable_that_cannot_take_over_is_not_taken() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("upgrade");
    fs::create_dir_all(&folder).unwrap();
    let executable = folder.join("wasmserve");
    let _ = fs::remove_file(&executable);
    fs::copy(env!("CARGO_BIN_EXE_wasmserve"), &executable).unwrap();
    let mut command = std::process::Command::new(&executable);
    command.args([HELLO, "--port", "0"]);
    let server = Server::command(command).start();
    let before = server.workers();
    fs::remove_file(&executable).unwrap();
    fs::write(&executable, "not an executable").unwrap();
    server.signal(Signal::SIGUSR2);
    let line = server.wait_for("The executable is not replaced, and this one goes on serving: ");
    assert!(line.contains("ERROR:"), "{line}");
    assert!(
        line.contains("cannot be executed: Permission denied"),
        "{line}"
    );
    assert_eq!(get(server.address, "/").status, 200);
    assert_eq!(server.workers(), before);
}

/// Whoever starts a server may ignore or block signals, and leaves that to it (execve(2)). Where SIGCHLD was ignored the
/// start waited for ever for children that were gone; where faults were blocked a guest's fault ended its worker.
#[test]
fn what_its_parent_did_to_signals_changes_nothing() {
    let mut server = Server::component(guest("behaviours"))
        .under([
            "env",
            "--ignore-signal=CHLD,QUIT,TERM,HUP,INT",
            "--block-signal=SEGV,BUS,ILL,FPE,TRAP,TERM,HUP,CHLD",
        ])
        .start();
    let worker = server.workers();
    for failure in ["/recurse", "/trap-before-head"] {
        assert_eq!(get(server.address, failure).status, 500, "{failure}");
    }
    assert_eq!(get(server.address, "/").text(), "ok\n");
    assert_eq!(server.workers(), worker);
    server.signal(Signal::SIGHUP);
    server.wait_for("ended: replaced by a reload");
    assert_eq!(get(server.address, "/").text(), "ok\n");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
}

/// Who sends a worker TERM means it well, and is told how it is meant.
#[test]
fn a_worker_that_somebody_else_tells_to_leave_is_replaced_and_the_log_says_how_it_is_done() {
    let server = Server::component(HELLO).workers(2).start();
    let told = server.workers()[0];
    strike(told, Signal::SIGTERM);
    let line = server.wait_for(&format!("Child process [{told}] died: "));
    assert!(
        line.contains("on a signal of somebody else; `wasmserve restart-worker`"),
        "{line}"
    );
    eventually("another one serves", || {
        let workers = server.workers();
        workers.len() == 2 && !workers.contains(&told)
    });
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}
