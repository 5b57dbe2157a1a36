//! `wasmserve dev`: builds, serves and watches; nothing is left behind.

use super::{becomes, place, with_toolchains};
use crate::harness::{Response, Server, eventually, finished, get, root};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};

const MAIN: &str = "package main

import (
	\"fmt\"
	\"net/http\"
)

func main() {
	http.ListenAndServe(\":8000\", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, \"VERSION\")
	}))
}
";

struct Project {
    directory: PathBuf,
    scratch: PathBuf,
}

impl Project {
    fn new(name: &str) -> Project {
        let at = place(name);
        let project = Project {
            directory: at.join("project"),
            scratch: at.join("scratch"),
        };
        std::fs::create_dir(&project.directory).unwrap();
        std::fs::create_dir(&project.scratch).unwrap();
        project.write("go.mod", "module app\n\ngo 1.24\n");
        project
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), text).unwrap();
    }

    fn version(&self, version: &str) {
        self.write("main.go", &MAIN.replace("VERSION", version));
    }

    fn develop(&self, options: &[&str]) -> Server {
        let mut command = with_toolchains();
        command.env("TMPDIR", &self.scratch).arg("dev");
        command
            .arg(&self.directory)
            .args(["--port", "0"])
            .args(options);
        Server::command(command).start()
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// The processes of a group, by their numbers.
fn group(leader: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let descends = |pid: &i32| {
        let mut pid = *pid;
        while pid > 1 && pid != leader {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit(')').next().unwrap_or_default();
            pid = after
                .split_whitespace()
                .nth(1)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
        }
        pid == leader
    };
    numbers.filter(descends).collect()
}

fn command(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn are_gone(processes: &[i32]) -> bool {
    processes
        .iter()
        .all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[test]
fn a_change_is_built_and_served_while_the_old_version_serves() {
    let project = Project::new("dev-change");
    project.version("one");
    let mut server = project.develop(&["--workers", "2"]);
    assert_eq!(get(server.address, "/").text(), "one");
    project.version("two");
    let says = |text: &'static str| move |response: &Response| response.text() == text;
    becomes(&server, says("two"), says("one"));
    server.wait_for("main.go has changed");

    project.write("main.go", "package main\n\nfunc main() { <b> }\n");
    let failed = |response: &Response| {
        response.status == 500
            && response.header("content-type") == Some("text/html; charset=utf-8")
            && response.text().contains("syntax error: unexpected &lt;")
    };
    // Workers are replaced one by one, so that another may still have the version before.
    let earlier = |response: &Response| ["one", "two"].contains(&response.text().as_str());
    becomes(&server, failed, earlier);
    server.wait_for("main.go:3:15: syntax error");

    // Nobody serves what was before any more; the code of the first version is still in the cache.
    server.wait_for_count("ended: replaced by a reload", 4);
    project.version("one");
    becomes(&server, says("one"), failed);
    let processes = group(server.pid());
    assert!(processes.len() >= 4, "{processes:?}");
    let mut commands = processes.iter().map(|pid| command(*pid));
    assert!(commands.any(|it| it.contains("--opt-level=0")));
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(0));
    assert!(are_gone(&processes));
    assert!(is_empty(&project.scratch));
}

#[test]
fn an_application_in_python_is_built_and_served() {
    let at = place("dev-python");
    let main = at.join("project/main.py");
    std::fs::create_dir(at.join("project")).unwrap();
    std::fs::create_dir(at.join("scratch")).unwrap();
    let text = "async def app(scope, receive, send):
    if scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'one'})
";
    std::fs::write(&main, text).unwrap();
    let mut command = with_toolchains();
    command.env("TMPDIR", at.join("scratch")).arg("dev");
    command.arg(&main).args(["--port", "0"]);
    let server = Server::command(command).compiles().start();
    server.wait_for("Built ");
    assert_eq!(get(server.address, "/").text(), "one");
    // What it raises is shown to whoever asks, although it would be a plain 500 elsewhere.
    let raising = text.replace(
        "        await send",
        "        oh['dear']\n        await send",
    );
    std::fs::write(&main, raising).unwrap();
    becomes(
        &server,
        |response| {
            response.text().contains("oh['dear']\n") && response.text().contains("NameError")
        },
        |response| response.text() == "one",
    );
    server.wait_for("NameError");
    let text_now = text.replace("b'one'", "b'two'");
    std::fs::write(&main, text_now).unwrap();
    becomes(
        &server,
        |response| response.text() == "two",
        |response| response.text().contains("NameError"),
    );
    std::fs::write(&main, format!("{text}\nraise KeyError('missing')\n")).unwrap();
    becomes(
        &server,
        |response| response.text().contains("KeyError: 'missing'"),
        |response| response.text() == "two",
    );
    server.wait_for("KeyError: 'missing'");
    let shown = |response: &Response| {
        let text = response.text();
        text.contains("def f(:") && text.contains("SyntaxError") && !text.contains("importlib")
    };
    std::fs::write(&main, format!("{text}\ndef f(:\n")).unwrap();
    becomes(&server, shown, |response| {
        response.text().contains("KeyError")
    });
    // All of that took new starts of the application, and no build.
    let builds = || server.printed().matches("INFO:     Building ").count();
    assert_eq!(builds(), 1, "{}", server.printed());
    // What it requires is in the component.
    std::fs::write(at.join("project/requirements.txt"), "").unwrap();
    eventually("it is built again", || builds() == 2);
    std::fs::write(&main, text).unwrap();
    becomes(&server, |response| response.text() == "one", shown);
}

/// Where the operator has something else be /app, the application must be in the component.
#[test]
fn an_application_in_python_is_built_where_its_folder_is_taken() {
    let at = place("dev-python-taken");
    for folder in ["project", "scratch", "data"] {
        std::fs::create_dir(at.join(folder)).unwrap();
    }
    let text = "import pathlib
async def app(scope, receive, send):
    if scope['type'] == 'http':
        text = pathlib.Path('note.txt').read_bytes()
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': text})
";
    std::fs::write(at.join("project/main.py"), text).unwrap();
    std::fs::write(at.join("data/note.txt"), "of the operator").unwrap();
    let mut command = with_toolchains();
    command.env("TMPDIR", at.join("scratch")).arg("dev");
    let grant = format!("{}::/app", at.join("data").display());
    command.arg(at.join("project/main.py"));
    command.args(["--port", "0", "--dir", &grant]);
    let server = Server::command(command).compiles().start();
    assert_eq!(get(server.address, "/").text(), "of the operator");
}

#[test]
fn a_project_that_cannot_be_built_yet_is_waited_for() {
    let project = Project::new("dev-broken");
    project.write("main.go", "package main\n\nfunc main() { oh }\n");
    let server = project.develop(&[]);
    let response = get(server.address, "/");
    assert_eq!(response.status, 500);
    assert!(
        response.text().contains("undefined: oh"),
        "{}",
        response.text()
    );
    project.version("one");
    becomes(
        &server,
        |response| response.text() == "one",
        |response| response.status == 500,
    );
}

#[test]
fn nothing_outlives_a_killed_dev_but_what_it_could_not_remove() {
    let project = Project::new("dev-killed");
    project.version("one");
    let mut server = project.develop(&[]);
    let processes = group(server.pid());
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("the server is gone too", || are_gone(&processes));
}

#[test]
fn wrong_options_are_told_before_anything_is_built() {
    let project = Project::new("dev-options");
    project.version("one");
    for (options, why) in [
        (
            ["--wrokers", "2"].as_slice(),
            "unexpected argument '--wrokers'",
        ),
        (["--port", "many"].as_slice(), "many"),
        (
            ["--port", "0", "--reload-dir", "src"].as_slice(),
            "before the options to serve with",
        ),
    ] {
        let mut command = with_toolchains();
        command.env("TMPDIR", &project.scratch).arg("dev");
        command.arg(&project.directory).args(options);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && !said.contains("Building"), "{said}");
    }
    for (option, value, why) in [
        ("--reload-dir", "nowhere", "is no directory"),
        ("--reload-delay", "soon", "reload-delay"),
    ] {
        let mut command = with_toolchains();
        command.env("TMPDIR", &project.scratch).arg("dev");
        command.args([option, value]).arg(&project.directory);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert!(is_empty(&project.scratch));
}

/// A change is compiled without what has no use for it: all crates are not optimised together again.
#[test]
fn a_change_in_rust_is_compiled_and_no_more() {
    let at = place("dev-rust");
    let project = at.join("changed_often");
    let mut command = with_toolchains();
    command.args(["new", "--lang", "rust"]).arg(&project);
    assert!(finished(command).status.success());
    // The versions that are here already.
    std::fs::copy(root().join("guests/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let mut command = with_toolchains();
    command.arg("dev").arg(&project).args(["--port", "0"]);
    let server = Server::command(command).compiles().start();
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    let main = project.join("src/lib.rs");
    let text = std::fs::read_to_string(&main).unwrap();
    std::fs::write(&main, text.replace("Hello, world!", "Good morning.")).unwrap();
    let says = |text: &'static str| move |response: &Response| response.text() == text;
    becomes(&server, says("Good morning.\n"), says("Hello, world!\n"));
    let kept = root().join("target/guests-build/wasm32-wasip2/release/incremental");
    let kept = std::fs::read_dir(kept).unwrap().flatten();
    let mut names = kept.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(names.any(|name| name.starts_with("changed_often-")));
}
