//! Steps before the start: run once, in order, to their end, and never beside a version that they are not for.

use crate::harness::{Server, eventually, finished, get, guest, root, scoreboard, wasmserve};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
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
    let server = Server::command(place.command(&[&step, &p3, &step])).start();
    let printed = server.printed();
    let expected = [
        "] step 1",
        "] waiting for a millisecond",
        "] step 2",
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
    let server = Server::command(place.command(&[&guest("behaviours-step")])).start();
    assert_eq!(steps_taken(&server), "None");
}

#[test]
fn steps_are_taken_before_a_new_version_and_their_failure_leaves_the_old_one_serving() {
    let place = Place::new("reload");
    let server = Server::command(place.command(&[&guest("behaviours-step")])).start();
    assert_eq!(steps_taken(&server), "Some(\"1\")");
    place.set("fail");
    server.signal(Signal::SIGHUP);
    let line = server.wait_for("The reload failed, and the old version goes on serving");
    assert!(line.contains("step before the start"), "{line}");
    server.wait_for("] the table is there already");
    assert_eq!(steps_taken(&server), "Some(\"1\")");
    place.set("");
    server.signal(Signal::SIGHUP);
    server.wait_for("] step 2");
    server.wait_for_count("Application startup complete.", 4);
    assert_eq!(steps_taken(&server), "Some(\"2\")");
}

#[test]
fn a_stop_does_not_wait_for_a_step() {
    let place = Place::new("waits");
    place.set("wait");
    let command = place.command(&[&guest("behaviours-step")]);
    let mut server = Server::command(command).until("] waiting").start();
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
        assert!(!printed.contains("[guest"), "{printed}");
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

/// A server whose step waits for ever, and the process of that step.
fn waiting(name: &str, options: &[&str]) -> (Place, Server, i32) {
    let place = Place::new(name);
    place.set("wait");
    let mut command = place.command(&[&guest("behaviours-step")]);
    command.args(options);
    let server = Server::command(command).until("] waiting").start();
    let step = server.workers();
    assert_eq!(step.len(), 1);
    (place, server, step[0])
}

/// A step runs a component before anybody serves, and shares nothing with who does.
#[test]
fn a_step_can_write_nothing_of_the_scoreboard() {
    let (_place, _server, step) = waiting("scoreboard", &[]);
    assert_eq!(scoreboard(step), (vec![], false));
}

fn is_gone(pid: i32) -> bool {
    !PathBuf::from(format!("/proc/{pid}")).exists()
}

/// Guards against a start that hangs without a word.
#[test]
fn a_step_that_does_not_end_fails_the_start_in_its_time() {
    let (_place, mut server, step) = waiting("endless", &["--timeout-before-start", "1s"]);
    assert_eq!(server.wait().code(), Some(3));
    let said = "took longer than --timeout-before-start (1 s)";
    server.wait_for(said);
    assert!(is_gone(step));
}

#[test]
fn a_step_that_is_killed_is_told_with_the_signal() {
    let (_place, mut server, step) = waiting("killed", &[]);
    kill(Pid::from_raw(step), Signal::SIGKILL).unwrap();
    assert_eq!(server.wait().code(), Some(3));
    server.wait_for("it did not finish: killed by SIGKILL");
}

#[test]
fn a_reload_during_a_step_waits_for_it_unless_it_is_asked_for_twice() {
    let (place, server, step) = waiting("reload-during", &[]);
    server.signal(Signal::SIGHUP);
    server.wait_for("A reload follows when the steps before the start have ended");
    assert!(!is_gone(step));
    place.set("");
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 2);
    assert!(is_gone(step));
    server.wait_for("] step 1");
}

/// Guards against a step that goes on when its supervisor is killed: who becomes another user forgets whom to die with.
#[test]
fn no_step_outlives_a_supervisor_that_is_killed() {
    let home = std::env::temp_dir().join(format!("wasmserve-orphan-{}", std::process::id()));
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let copy = |name| {
        let path = home.join(name);
        fs::copy(guest(name), &path).unwrap();
        path.display().to_string()
    };
    let (component, step) = (copy("hello"), copy("behaviours-step"));
    let user = ["--user", "65534", "--group", "65534"];
    let users = [&[][..], &user].into_iter();
    let is_root = nix::unistd::geteuid().is_root();
    for (index, user) in users.take(1 + usize::from(is_root)).enumerate() {
        let store = home.join(format!("{index}/store.db"));
        let folder = store.parent().unwrap();
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = wasmserve();
        command
            .args([&component, "--port", "0", "--before-start", &step])
            .args(["--env", "STEP=wait", "--keyvalue"])
            .arg(format!("sqlite:{}", store.display()))
            .args(user);
        let mut server = Server::command(command).until("] waiting").start();
        let step = server.workers()[0];
        server.signal(Signal::SIGKILL);
        server.wait();
        eventually("the step has ended", || is_gone(step));
    }
    fs::remove_dir_all(home).unwrap();
}
