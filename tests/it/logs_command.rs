//! `wasmserve logs` shows the last lines of a server and those that come, wherever the log goes.

use crate::harness::{Connection, HELLO, Server, Target, eventually, get, order, said, wasmserve};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// A `wasmserve logs --follow`, and what it has printed.
struct Follower {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Follower {
    fn of(server: &Server, arguments: &[&str]) -> Follower {
        let mut command = wasmserve();
        command.args(["logs", "--follow", "--pid", &server.pid().to_string()]);
        command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (printed, lines) = (child.stdout.take().unwrap(), Arc::default());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(printed).lines() {
                kept.lock().unwrap().push(line.unwrap());
            }
        });
        Follower { child, lines }
    }

    fn count(&self, text: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(text)).count()
    }

    fn waits_for(&self, text: &str) {
        eventually(&format!("`{text}` is shown"), || self.count(text) > 0);
    }

    fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place(name: &str) -> PathBuf {
    let name = format!("{name}-{}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_last_lines_are_shown_of_what_is_asked_for_wherever_the_log_goes() {
    let log = place("logs-command.log");
    let in_file = Server::component(HELLO)
        .option("--log-file", &log)
        .arg("--use-colors")
        .until_logged(&log);
    for start in [Server::component(HELLO), in_file] {
        let server = start.start();
        for number in 0..20 {
            get(server.address, &format!("/asked-{number}"));
        }
        server.wait_for("GET /asked-19");
        let all = order(&server, &["logs"]);
        assert_eq!(all.status.code(), Some(0), "{}", said(&all));
        let all = said(&all);
        let parent = format!("INFO:     Started parent process [{}]", server.pid());
        assert!(all.starts_with(&parent), "{all}");
        assert!(all.contains("INFO:     Started server process ["), "{all}");
        assert!(all.contains("wasmserve running on http://"), "{all}");
        assert!(all.contains("\"GET /asked-19 HTTP/1.1\" 200 OK"), "{all}");
        let requests = said(&order(&server, &["logs", "--access", "-n", "3"]));
        let lines: Vec<&str> = requests.lines().collect();
        assert_eq!(lines.len(), 3, "{requests}");
        for (line, number) in lines.iter().zip(17..) {
            assert!(
                line.contains(&format!("GET /asked-{number} ")),
                "{requests}"
            );
        }
        let errors = order(&server, &["logs", "--level", "error"]);
        assert_eq!(
            (errors.status.code(), said(&errors)),
            (Some(0), String::new())
        );
        let unknown = order(&server, &["logs", "--level", "loud"]);
        assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    }
    fs::remove_file(&log).unwrap();
}

/// A follower that ended with the admin process would miss what it was started for: the reload that fails at night.
#[test]
fn what_comes_is_shown_across_another_admin_process_and_executable_until_the_server_ends() {
    let mut server = Server::component(HELLO).workers(2).start();
    let follower = Follower::of(&server, &[]);
    follower.waits_for("wasmserve running on");
    get(server.address, "/first");
    follower.waits_for("GET /first");
    let admin = server.admin().unwrap();
    kill(Pid::from_raw(admin), Signal::SIGKILL).unwrap();
    get(server.address, "/second");
    follower.waits_for("GET /second");
    server.signal(Signal::SIGUSR2);
    eventually("the executable was replaced", || {
        follower.count("Started server process") >= 4
    });
    get(server.address, "/third");
    follower.waits_for("GET /third");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    follower.waits_for("ended: shutdown");
    follower.waits_for("Stopping parent process [");
    for path in ["/first", "/second", "/third"] {
        assert_eq!(follower.count(&format!("GET {path} ")), 1, "{path}");
    }
    assert_eq!(follower.ended().code(), Some(0));
}

/// The log says who asked for what: it is not for whoever may scrape metrics.
#[test]
fn the_log_is_shown_to_the_owner_alone() {
    let watched = Server::component(HELLO).watched();
    for path in ["/logs", "/logs?follow=true", "/logs?x=y"] {
        assert_eq!(watched.ask(path).status, 403, "{path}");
    }
}

#[test]
fn whoever_follows_and_never_reads_hinders_nobody() {
    let path = place("silent.sock");
    let admin = format!("unix:{}", path.display());
    let mut server = Server::component(HELLO).option("--admin", &admin).start();
    let mut silent: Vec<Connection> = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::open(Target::from(path.as_path()));
        connection
            .write("GET /logs?follow=true HTTP/1.1\r\nHost: test\r\n\r\n")
            .unwrap();
        silent.push(connection);
    }
    let mut client = Connection::open(server.address);
    let long = "x".repeat(2000);
    for number in 0..2000 {
        let answer = client.get(&format!("/{number}/{long}")).response().unwrap();
        assert_eq!(answer.status, 200);
    }
    server.wait_for("GET /1999/");
    let last = said(&order(&server, &["logs", "-n", "1", "--access"]));
    assert!(last.contains("GET /1999/"), "{last}");
    let memory = fs::read_to_string(format!("/proc/{}/status", server.admin().unwrap()));
    let memory = memory.unwrap();
    let peak = memory
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 100 << 10, "{peak} KiB");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    drop(silent);
}

/// A worker that was taken over must not learn what other workers are asked for.
#[test]
fn a_worker_cannot_see_what_others_log() {
    let server = Server::component(HELLO).workers(2).start();
    get(server.address, "/");
    let mapped = |pid: i32| -> (u64, u64) {
        let mut maps = String::new();
        let mut file = fs::File::open(format!("/proc/{pid}/maps")).unwrap();
        file.read_to_string(&mut maps).unwrap();
        let own = maps
            .lines()
            .filter(|line| line.contains("wasmserve scoreboard"));
        let places = own.map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next().unwrap().split_once('-').unwrap();
            let place = |text| u64::from_str_radix(text, 16).unwrap();
            let offset = place(words.nth(1).unwrap());
            (
                place(end) - place(start),
                offset + place(end) - place(start),
            )
        });
        places.fold((0, 0), |(all, last), (bytes, end)| {
            (all + bytes, last.max(end))
        })
    };
    let (all, end) = mapped(server.pid());
    assert_eq!(all, end, "the supervisor sees everything");
    let ring = 68 << 10;
    for worker in server.workers() {
        let (seen, _) = mapped(worker);
        assert!(seen + 2 * ring <= all, "{seen} of {all}");
    }
}
