//! These tests show that periodic jobs run beside the application, with what it may use, and never two of one.

use crate::harness::{Server, Start, eventually, finished, get, guest, lives, wasmserve};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;

/// A place of this test's own, with the store and a file of variables in it.
struct Place {
    store: String,
    variables: PathBuf,
    job: PathBuf,
}

impl Place {
    fn new(name: &str) -> Place {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("periodic-{name}"));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        let place = Place {
            store: format!("sqlite:{}", home.join("store.db").display()),
            variables: home.join("env"),
            job: home.join("job.wasm"),
        };
        place.set("");
        fs::copy(guest("behaviours-step"), &place.job).unwrap();
        place
    }

    /// Has jobs find this value of STEP.
    fn set(&self, step: &str) {
        fs::write(&self.variables, format!("STEP={step}\n")).unwrap();
    }

    /// A server that runs the job every second.
    fn serving(&self) -> Start {
        Server::component(guest("behaviours-keyvalue"))
            .workers(2)
            .option("--keyvalue", &self.store)
            .option("--env-file", &self.variables)
            .option("--every", format!("1s={}", self.job.display()))
    }
}

/// The processes that run jobs.
fn jobs(server: &Server) -> Vec<i32> {
    let is_job = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "job")
    };
    server.children().into_iter().filter(is_job).collect()
}

fn one_job(server: &Server) -> i32 {
    let mut found = Vec::new();
    eventually("the job runs", || {
        found = jobs(server);
        !found.is_empty()
    });
    assert_eq!(found.len(), 1);
    found[0]
}

#[test]
fn a_job_is_run_again_and_again_with_what_the_application_may_use() {
    let place = Place::new("again");
    let server = place.serving().start();
    server.wait_for("] step 3");
    server.wait_for_count("is done, after", 3);
    // The application has the same store.
    let count = get(server.address, "/get?key=steps").text();
    assert_ne!(count, "None");
    assert!(!server.printed().contains("ERROR"), "{}", server.printed());
    server.stop();
}

#[test]
fn a_job_that_fails_is_told_and_run_again_and_the_application_is_served() {
    for (how, said) in [
        ("fail", "it has failed with status 1"),
        ("panic", "it trapped: "),
    ] {
        let place = Place::new(how);
        place.set(how);
        let server = place.serving().start();
        let line = server.wait_for_count(said, 2);
        let job = format!("job `{}`: ", place.job.display());
        assert!(line.starts_with("ERROR:") && line.contains(&job), "{line}");
        assert_eq!(get(server.address, "/get?key=steps").status, 200);
        assert_eq!(server.workers().len(), 2);
    }
}

/// Runs the job, whose step is this, and waits until the status is as wanted.
fn told_of(name: &str, step: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
    let place = Place::new(name);
    place.set(step);
    let watched = place.serving().watched();
    eventually("the status tells of the job", || {
        let status = watched.json("/status");
        wanted(&status["jobs"][0])
    });
    let metrics = watched.ask("/metrics").text();
    let job = place.job.display().to_string();
    for metric in [
        "job_running",
        "job_last_success_time_seconds",
        "job_last_duration_seconds",
    ] {
        let line = format!("wasmserve_{metric}{{job=\"{job}\"}}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert!(watched.json("/status")["jobs"][0]["component"] == job.as_str());
}

#[test]
fn the_status_and_the_metrics_say_what_came_of_a_job() {
    told_of("well", "", |job| {
        job["succeeded"].as_u64() >= Some(2)
            && job["failed"] == 0
            && job["last"]["outcome"] == "success"
            && job["every_seconds"] == 1.0
    });
    told_of("badly", "fail", |job| {
        let reason = job["last"]["reason"].as_str().unwrap_or_default();
        job["failed"].as_u64() >= Some(2) && reason.contains("it has failed with status 1")
    });
    told_of("long", "wait", |job| {
        job["left_out"].as_u64() >= Some(1) && job["pid"].is_u64() && job["last"].is_null()
    });
}

#[test]
fn there_are_never_two_of_one_job_and_a_stop_waits_no_longer_than_for_requests() {
    let place = Place::new("two");
    place.set("wait");
    let server = place.serving().option("--timeout-graceful-shutdown", "1s");
    let mut server = server.start();
    let job = one_job(&server);
    server.wait_for_count("it is not run again meanwhile", 2);
    assert_eq!(jobs(&server), [job]);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!lives(job));
    server.wait_for("it was ended, as the server does not wait for it any longer");
}

#[test]
fn a_job_that_takes_too_long_is_ended_and_begun_again() {
    let place = Place::new("late");
    place.set("wait");
    let server = place.serving().option("--timeout-every", "1s").start();
    let first = one_job(&server);
    server.wait_for("it took longer than --timeout-every (1 s) and was ended");
    eventually("another one runs", || {
        !lives(first) && jobs(&server).iter().any(|job| *job != first)
    });
}

#[test]
fn a_reload_takes_the_new_version_of_a_job() {
    let place = Place::new("reload");
    let server = place.serving().start();
    server.wait_for("] step 1");
    // Another file in its place, as it is deployed.
    let next = place.job.with_extension("next");
    fs::copy(guest("behaviours-step-p3"), &next).unwrap();
    fs::rename(&next, &place.job).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("] waiting for a millisecond");
    // What a new executable serves is a new version, too.
    let before = server.printed().matches("is done, after").count();
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Started server process", 6);
    server.wait_for_count("is done, after", before + 3);
}

#[test]
fn a_quick_end_does_not_wait_for_a_job() {
    let place = Place::new("quit");
    place.set("wait");
    let mut server = place.serving().start();
    let job = one_job(&server);
    server.signal(Signal::SIGQUIT);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!lives(job));
}

#[test]
fn a_job_that_outlives_the_workers_is_ended_by_a_second_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT] {
        let place = Place::new(signal.as_str());
        place.set("wait");
        let mut server = place
            .serving()
            .option("--timeout-graceful-shutdown", "600s")
            .start();
        let job = one_job(&server);
        server.signal(Signal::SIGTERM);
        eventually("only the job is left", || server.children() == [job]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!lives(job));
        server.wait_for("Asked to stop again: not waiting for jobs");
    }
}

#[test]
fn what_cannot_be_run_is_refused_at_the_start() {
    let (hello, step) = (guest("hello"), guest("behaviours-step"));
    let no_run = format!("5m={hello}");
    let no_store = format!("5m={step}");
    let missing = "5m=/not/there".to_owned();
    for (every, status, said) in [
        (&*no_run, 3, "it exports no wasi:cli/run"),
        (&*missing, 3, "option --every: component `/not/there`"),
        (&*no_store, 3, "--keyvalue"),
        ("job.wasm", 2, "write it like 5m=job.wasm"),
        ("5x=job.wasm", 2, "is not a duration"),
        ("1ms=job.wasm", 2, "once a second at most"),
        ("5m=", 2, "no component is named"),
    ] {
        for command in ["", "check"] {
            let mut start = wasmserve();
            start.args([command].iter().filter(|it| !it.is_empty()));
            start.args([&hello, "--every", every, "--port", "0"]);
            let output = finished(start);
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(printed.contains(said), "{every}: {printed}");
            assert_eq!(output.status.code(), Some(status), "{every}: {printed}");
        }
    }
}
