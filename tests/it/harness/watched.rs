//! A server that is looked at from inside: over its admin address, and by commands.

use super::{Response, Server, eventually, finished, get, wasmserve};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Output;

/// A server that is watched over TCP.
pub struct Watched {
    pub server: Server,
    pub admin: SocketAddr,
}

impl Watched {
    /// Looks at a server that was told to have an admin address over TCP.
    pub fn over(server: Server) -> Watched {
        let line = server.wait_for("wasmserve is watched at http://");
        let (_, address) = line.split_once("http://").unwrap();
        let admin = address.trim().parse().unwrap();
        Watched { server, admin }
    }

    pub fn ask(&self, path: &str) -> Response {
        get(self.admin, path)
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.ask(path).body).unwrap()
    }

    pub fn is_ready(&self) -> bool {
        self.ask("/readyz").status == 200
    }

    /// Waits until an instance that was kept for a later request has ended.
    pub fn has_let_an_instance_go(&self) {
        let name = r#"wasmserve_instances_dropped_total{reason="idle"}"#;
        eventually("an instance has ended", || self.metric(name) >= 1.0);
    }

    /// A counter, or nought where it is not shown.
    pub fn metric(&self, name: &str) -> f64 {
        metrics(&self.ask("/metrics").text())
            .get(name)
            .copied()
            .unwrap_or(0.0)
    }
}

/// Every sample of a page by its name and labels.
fn metrics(page: &str) -> HashMap<String, f64> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

/// `wasmserve COMMAND` about this server.
pub fn order(server: &Server, arguments: &[&str]) -> Output {
    let mut command = wasmserve();
    command
        .args(arguments)
        .args(["--pid", &server.pid().to_string()]);
    finished(command)
}

pub fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

impl Server {
    /// What `wasmserve status` says of this server.
    pub fn status(&self) -> Value {
        let output = order(self, &["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
    }

    /// Waits until so many requests are being answered.
    pub fn answers_now(&self, count: u64) {
        eventually(&format!("{count} requests are being answered"), || {
            self.status()["requests"]["in_flight"] == count
        });
    }

    /// Waits until so many requests wait for their turn.
    pub fn keeps_waiting(&self, count: u64) {
        eventually(&format!("{count} requests wait"), || {
            self.status()["requests"]["queued"] == count
        });
    }

    /// Waits until workers have so many connections in all.
    pub fn has_connections(&self, count: u64) {
        eventually(&format!("there are {count} connections"), || {
            let status = self.status();
            let workers = status["workers"].as_array().expect("a list").iter();
            let connections = workers.filter_map(|worker| worker["connections"].as_u64());
            connections.sum::<u64>() == count
        });
    }
}
