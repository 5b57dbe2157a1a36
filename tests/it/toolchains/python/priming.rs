//! The lifespan of a Python application runs once for each start, and each request finds what it left and nothing of
//! another request's.

use super::{of_tests, place};
use crate::harness::{Server, Watched, eventually, finished, get, wasmserve};
use nix::sys::signal::Signal;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

struct Application {
    component: String,
    data: String,
}

impl Application {
    fn built() -> Application {
        let data = place("python-priming-data");
        Application {
            component: of_tests(),
            data: data.display().to_string(),
        }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = wasmserve();
        command
            .args([&self.component, "--port", "0", "--dir-rw"])
            .arg(format!("{}::/data", self.data))
            .args(options);
        command
    }

    fn starts(&self) -> usize {
        let noted = std::fs::read_to_string(format!("{}/starts.txt", self.data));
        noted.unwrap().lines().count()
    }
}

/// Asks often: the answers without their last two numbers, and those numbers.
fn asked(server: &Server) -> (HashSet<String>, Vec<String>, Vec<f64>) {
    let answers = (0..30).map(|_| get(server.address, "/started").text());
    let mut same = HashSet::new();
    let (mut drawn, mut times) = (Vec::new(), Vec::new());
    for answer in answers {
        let words: Vec<&str> = answer.split(' ').collect();
        assert_eq!(words.len(), 5, "{answer}: {}", server.printed());
        same.insert(words[..3].join(" "));
        drawn.push(words[3].to_owned());
        times.push(words[4].parse().unwrap());
    }
    (same, drawn, times)
}

#[test]
fn the_lifespan_runs_once_and_each_request_begins_after_it() {
    let application = Application::built();
    let server = Server::command(application.command(&[
        "--workers",
        "3",
        "--env",
        "MODE=note",
        "--prime",
        "/started",
    ]))
    .start();
    let (same, drawn, times) = asked(&server);
    // One request has primed it, and no other is ever seen.
    assert_eq!(same.len(), 1, "{same:?}");
    assert!(
        same.iter().all(|answer| answer.starts_with("2 1 ")),
        "{same:?}"
    );
    let different: HashSet<&String> = drawn.iter().collect();
    assert_eq!(different.len(), drawn.len(), "{drawn:?}");
    assert!(times.is_sorted(), "{times:?}");
    for count in ["1", "2", "3"] {
        assert_eq!(get(server.address, "/stored").text(), count);
    }
    assert_eq!(application.starts(), 1);
    let printed = server.printed();
    assert_eq!(
        printed.matches("the model is loaded").count(),
        1,
        "{printed}"
    );
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 3);
    assert_eq!(application.starts(), 2);
    let (again, ..) = asked(&server);
    assert!(again.is_disjoint(&same), "what a start draws is its own");
    fails_and_leaves_open(&application);
    asks_over_a_socket(&application);
}

/// The C library opens the network with the first socket, and keeps it: it is the same in the instance of each request.
fn asks_over_a_socket(application: &Application) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut ping = [0; 4];
            if stream.read_exact(&mut ping).is_ok() {
                let _ = stream.write_all(b"pong");
            }
            let _ = stream.read(&mut ping);
        }
    });
    let (mode, named) = ("MODE=connect", format!("PEER={peer}"));
    let options = ["--env", mode, "--env", &named, "--allow-net", &peer];
    let options = [&options[..], &["--admin", "127.0.0.1:0"]].concat();
    let watched = Watched::over(Server::command(application.command(&options)).start());
    watched.server.wait_for("Primed ");
    for _ in 0..4 {
        assert_eq!(get(watched.server.address, "/connected").text(), "pong");
    }
    eventually("instances were restored", || {
        watched.metric("wasmserve_instances_restored_total") >= 3.0
    });
    let kept = r#"wasmserve_instances_dropped_total{reason="kept_resources"}"#;
    assert_eq!(watched.metric(kept), 0.0);
}

fn fails_and_leaves_open(application: &Application) {
    let output = finished(application.command(&["--env", "MODE=fail"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("startup failed: the database is away"),
        "{said}"
    );
    let server = Server::command(application.command(&["--env", "MODE=open"])).start();
    let printed = server.printed();
    let why = "holds the file /data/open.txt";
    assert!(
        printed.contains("is not primed") && printed.contains(why),
        "{printed}"
    );
    assert!(get(server.address, "/started").text().starts_with("1 1 "));
    let strict = application.command(&["--env", "MODE=open", "--prime-strict"]);
    let output = finished(strict);
    assert_eq!(output.status.code(), Some(3));
    let unprimed = Server::command(application.command(&["--no-prime"])).start();
    let (same, ..) = asked(&unprimed);
    assert_eq!(same.len(), 30, "each start draws its own");
}
