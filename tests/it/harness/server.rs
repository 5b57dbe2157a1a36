//! A server that is running: what it prints is read, and its processes are killed at the end.

use super::command;
use super::output::Printed;
use super::start::ANNOUNCEMENT;
use super::{DEADLINE, eventually};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

pub struct Server {
    child: Child,
    output: Arc<Printed>,
    /// The first that was announced, if that is TCP.
    pub address: SocketAddr,
}

impl Server {
    /// Runs the command, and reads what it prints on standard error.
    pub(super) fn spawned(command: &mut Command) -> (Server, ChildStdout) {
        let mut child = command::spawned(command);
        let output = Arc::new(Printed::default());
        let stdout = child.stdout.take();
        output.drain(child.stderr.take().unwrap());
        let server = Server {
            child,
            output,
            address: SocketAddr::from(([0; 4], 0)),
        };
        (server, stdout.unwrap())
    }

    /// Reads what it prints on standard output too.
    pub(super) fn read(&mut self, stdout: ChildStdout) {
        self.output.drain(stdout);
    }

    pub(super) fn note_address(&mut self, line: &str) {
        if let Some((_, rest)) = line.split_once("://") {
            let address = rest.split(' ').next().unwrap();
            self.address = address.parse().expect("the line names the address");
        }
    }

    /// Waits for a line that contains `text`; it may have been printed before.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_count(text, 1)
    }

    /// Waits until `count` lines contain `text`, and gives the last of them.
    pub fn wait_for_count(&self, text: &str, count: usize) -> String {
        self.wait_within(DEADLINE, text, count)
    }

    pub(super) fn wait_within(&self, time: Duration, text: &str, count: usize) -> String {
        self.output.wait_for(time, text, count)
    }

    /// Waits for a line with this text in the file that it prints to.
    pub(super) fn wait_in_file(&self, log: &Path, text: &str) -> String {
        let mut line = None;
        eventually("the server runs", || {
            let written = std::fs::read_to_string(log).unwrap_or_default();
            line = written
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            line.is_some()
        });
        line.unwrap()
    }

    /// Where it runs, as it was announced, one URL or path an address.
    pub fn announced(&self) -> Vec<String> {
        let lines = self.printed();
        let announced = lines.lines().filter_map(|line| {
            let (_, rest) = line.split_once(ANNOUNCEMENT)?;
            Some(rest.strip_suffix(" (Press CTRL+C to quit)")?.to_owned())
        });
        announced.collect()
    }

    /// Everything printed so far.
    pub fn printed(&self) -> String {
        self.output.text()
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The worker processes, in the order in which they were forked.
    pub fn workers(&self) -> Vec<i32> {
        let children = self.children().into_iter();
        let others = ["zygote", "admin", "log", "exporter", "job", "mount"];
        let workers = children.filter(|child| !others.iter().any(|name| is_called(*child, name)));
        workers.collect()
    }

    /// What writes the logs to files, where there is such a process.
    pub fn log_writer(&self) -> Option<i32> {
        let mut children = self.children().into_iter();
        children.find(|child| is_called(*child, "log"))
    }

    /// What answers questions about the server, where there is such a process.
    pub fn admin(&self) -> Option<i32> {
        let mut children = self.children().into_iter();
        children.find(|child| is_called(*child, "admin"))
    }

    /// What sends spans to a collector, where there is such a process.
    pub fn exporter(&self) -> Option<i32> {
        let mut children = self.children().into_iter();
        children.find(|child| is_called(*child, "exporter"))
    }

    /// What the workers of a large component are forked from.
    pub fn zygote(&self) -> Option<i32> {
        let mut children = self.children().into_iter();
        children.find(|child| is_called(*child, "zygote"))
    }

    /// All its child processes, also those that are no part of it.
    pub fn children(&self) -> Vec<i32> {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the server is there");
    }

    /// Closes the pipes that the server writes to.
    pub fn stop_reading(&mut self) {
        self.output.close();
        // The readers notice with the next line.
        for _ in 0..2 {
            super::get(self.address, "/");
        }
    }

    /// Has the server stop as service managers do, and waits until it has.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.wait().code(), Some(0));
    }

    /// Waits for the end of the supervisor.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

fn is_called(pid: i32, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|found| found.trim() == name)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its children have sessions of their own, and only those that live and go on see that it is gone.
        let children = self.children();
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        let _ = self.child.wait();
        for child in children {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        if std::thread::panicking() {
            eprintln!("the server printed:\n{}", self.printed());
        }
    }
}
