//! Steps before the start: run once, in order, to their end, and never beside a version that they are not for.

use crate::harness::{Server, finished, get, guest, root, wasmserve};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A place of this test's own, with the store and a file of variables in it.
struct Place {
    store: String,
    variables: PathBuf,
}

impl Place {
    fn new(name: &str) -> Place {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("before-start-{name}"));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        let place = Place {
            store: format!("sqlite:{}", home.join("store.db").display()),
            variables: home.join("env"),
        };
        place.set("");
        place
    }

    /// Has steps find this value of STEP.
    fn set(&self, step: &str) {
        fs::write(&self.variables, format!("STEP={step}\n")).unwrap();
    }

    /// A server with these steps.
    fn command(&self, steps: &[&str]) -> Command {
        self.serving(&guest("behaviours-keyvalue"), steps)
    }

    fn serving(&self, component: &str, steps: &[&str]) -> Command {
        let mut command = wasmserve();
        command
            .args([component, "--port", "0", "--workers", "2"])
            .args(["--keyvalue", &self.store])
            .arg("--env-file")
            .arg(&self.variables);
        for step in steps {
            command.args(["--before-start", step]);
        }
        command
    }
}

fn steps_taken(server: &Server) -> String {
    get(server.address, "/get?key=steps").text()
}

#[test]
fn steps_are_taken_in_order_and_once_before_the_first_worker_starts() {
    let (step, p3) = (guest("behaviours-step"), guest("behaviours-step-p3"));
    let place = Place::new("order");
    let server = Server::start_command(place.command(&[&step, &p3, &step]));
    let printed = server.printed();
    let expected = [
        "guest stdout: step 1",
        "guest stdout: waiting for a millisecond",
        "guest stdout: step 2",
        "Started server process",
    ];
    let places = expected.map(|text| printed.find(text).expect(text));
    assert!(places.is_sorted(), "{printed}");
    assert_eq!(printed.matches(" before the start").count(), 3, "{printed}");
    assert_eq!(steps_taken(&server), "Some(\"2\")");
    // A further worker is of the same version; what a new executable serves is a new one.
    server.signal(Signal::SIGTTIN);
    server.wait_for_count("Application startup complete.", 3);
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Application startup complete.", 6);
    assert_eq!(steps_taken(&server), "Some(\"4\")");
}

#[test]
fn a_step_that_fails_stops_the_start() {
    let (step, p3) = (guest("behaviours-step"), guest("behaviours-step-p3"));
    for (step, how, said) in [
        (&step, "fail", "it has failed with status 1"),
        (&step, "panic", "it trapped: "),
        (&p3, "fail", "it has failed"),
    ] {
        let place = Place::new("fails");
        place.set(how);
        let output = finished(place.command(&[step]));
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{printed}");
        let last = printed.lines().last().unwrap();
        let start = format!("wasmserve: step before the start `{step}`: {said}");
        assert!(last.starts_with(&start), "{last}");
        assert!(!printed.contains("Started server process"), "{printed}");
    }
}

#[test]
fn a_step_may_end_by_leaving() {
    let place = Place::new("leaves");
    place.set("leave");
    let server = Server::start_command(place.command(&[&guest("behaviours-step")]));
    assert_eq!(steps_taken(&server), "None");
}

#[test]
fn steps_are_taken_before_a_new_version_and_their_failure_leaves_the_old_one_serving() {
    let place = Place::new("reload");
    let server = Server::start_command(place.command(&[&guest("behaviours-step")]));
    assert_eq!(steps_taken(&server), "Some(\"1\")");
    place.set("fail");
    server.signal(Signal::SIGHUP);
    let line = server.wait_for("The reload failed, and the old version goes on serving");
    assert!(line.contains("step before the start"), "{line}");
    server.wait_for("guest stderr: the table is there already");
    assert_eq!(steps_taken(&server), "Some(\"1\")");
    place.set("");
    server.signal(Signal::SIGHUP);
    server.wait_for("guest stdout: step 2");
    server.wait_for_count("Application startup complete.", 4);
    assert_eq!(steps_taken(&server), "Some(\"2\")");
}

#[test]
fn a_stop_does_not_wait_for_a_step() {
    let place = Place::new("waits");
    place.set("wait");
    let command = place.command(&[&guest("behaviours-step")]);
    let mut server = Server::start_until("guest stdout: waiting", command);
    let step = server.workers();
    assert_eq!(step.len(), 1);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!PathBuf::from(format!("/proc/{}", step[0])).exists());
}

#[test]
fn what_is_wrong_is_told_before_a_step_is_taken() {
    let step = guest("behaviours-step");
    let no_http = root().join("guests/behaviours/no-http.wat");
    let unknown = root().join("guests/behaviours/unknown-import.wat");
    let (no_http, unknown) = (no_http.to_str().unwrap(), unknown.to_str().unwrap());
    let place = Place::new("wrong");
    for (component, steps, said) in [
        (
            guest("behaviours"),
            [&step, "/not/there"],
            "option --before-start: component `/not/there`: cannot be read",
        ),
        (
            guest("behaviours"),
            [&step, unknown],
            "exports no wasi:cli/run",
        ),
        (
            guest("behaviours"),
            [&step, &guest("hello")],
            "exports no wasi:cli/run",
        ),
        (
            no_http.to_owned(),
            [&step, &step],
            "exports no wasi:http handler",
        ),
    ] {
        let command = place.serving(&component, &steps);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{printed}");
        assert!(printed.contains(said), "{printed}");
        assert!(!printed.contains("guest stdout"), "{printed}");
    }
    let mut check = wasmserve();
    check.args(["check", &guest("hello"), "--before-start", &guest("hello")]);
    let output = finished(check);
    assert_eq!(output.status.code(), Some(3));
    let mut check = wasmserve();
    check.args(["check", &guest("hello"), "--before-start", &step]);
    let output = finished(check);
    assert_eq!(output.status.code(), Some(3), "it needs a store");
}
