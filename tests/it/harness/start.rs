//! How a server is started: what a test says of it, and nothing that it does not care about.
//!
//! `Server::component(HELLO).workers(2).arg("--reuse=10").start()`

use super::certificates::Pair;
use super::command::{finished, under};
use super::server::Server;
use super::watched::Watched;
use super::{COMPILING, DEADLINE};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Output};
use std::time::Duration;

/// What wasmserve prints where it listens.
pub const ANNOUNCEMENT: &str = "wasmserve running on ";

const FREE_PORT: [&str; 2] = ["--port", "0"];

/// The executable under test, with a cache of its own.
pub fn wasmserve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmserve"));
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
    command
        .env("XDG_CACHE_HOME", cache)
        .env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("CACHE_DIRECTORY");
    for name in [
        "WEB_CONCURRENCY",
        "PORT",
        "WASMSERVE_WORKERS",
        "WASMSERVE_HOST",
        "WASMSERVE_PORT",
    ] {
        command.env_remove(name);
    }
    command
}

/// A server that is about to be started.
#[must_use = "nothing runs before `start`"]
pub struct Start {
    command: Command,
    /// Whether it is told to listen on a free port.
    free_port: bool,
    /// The line that says that it runs.
    announcement: String,
    deadline: Duration,
    /// Where that line is, if not in its output.
    log: Option<PathBuf>,
}

impl Server {
    /// Serves this component on a free port.
    pub fn component(component: impl AsRef<OsStr>) -> Start {
        Server::configured().arg(component)
    }

    /// Serves on a free port what the arguments or a configuration file name.
    pub fn configured() -> Start {
        let start = Server::command(wasmserve());
        Start {
            free_port: true,
            ..start
        }
    }

    /// Runs a command that says all by itself.
    pub fn command(command: Command) -> Start {
        Start {
            command,
            free_port: false,
            announcement: ANNOUNCEMENT.to_owned(),
            deadline: DEADLINE,
            log: None,
        }
    }

    /// Starts a server and stops it, to have the code of a large component compiled and kept.
    pub fn compile(component: &str) {
        Server::compile_with(component, &[]);
    }

    /// The same of one that does not start without these options.
    pub fn compile_with(component: &str, options: &[&str]) {
        drop(
            Server::component(component)
                .args(options)
                .compiles()
                .start(),
        );
    }
}

impl Start {
    pub fn workers(self, count: usize) -> Start {
        self.option("--workers", count.to_string())
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Start {
        self.command.arg(argument);
        self
    }

    pub fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Start {
        self.command.args(arguments);
        self
    }

    /// Adds an option with a value that the test made.
    pub fn option(self, name: &str, value: impl AsRef<OsStr>) -> Start {
        self.arg(name).arg(value)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Start {
        self.command.env(name, value);
        self
    }

    pub fn envs(mut self, variables: &[(&str, &str)]) -> Start {
        self.command.envs(variables.iter().copied());
        self
    }

    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Start {
        self.command.current_dir(directory);
        self
    }

    /// Has this certificate and its key, besides others.
    pub fn certificate(self, pair: &Pair) -> Start {
        self.option("--ssl-certfile", &pair.certificate)
            .option("--ssl-keyfile", &pair.key)
    }

    /// Leaves the addresses to the other arguments and the environment.
    pub fn without_port(mut self) -> Start {
        self.free_port = false;
        self
    }

    /// Does what the builder has no word for.
    pub fn prepared(mut self, prepare: impl FnOnce(&mut Command)) -> Start {
        prepare(&mut self.command);
        self
    }

    /// Runs as what this command makes of its last arguments.
    pub fn under<const N: usize>(mut self, wrapper: [&str; N]) -> Start {
        self.command = under(&wrapper, &self.command);
        self
    }

    /// Has much to compile before it runs.
    pub fn compiles(mut self) -> Start {
        self.deadline = COMPILING;
        self
    }

    /// Counts as started when it prints a line with this text, which may be long before it serves.
    pub fn until(mut self, text: &str) -> Start {
        text.clone_into(&mut self.announcement);
        self
    }

    /// Prints to this file what it does.
    pub fn until_logged(mut self, log: impl AsRef<Path>) -> Start {
        self.log = Some(log.as_ref().to_owned());
        self
    }

    /// Starts the server, and waits until it runs.
    pub fn start(self) -> Server {
        let (mut server, stdout) = self.start_unread();
        server.read(stdout);
        server
    }

    /// Starts a server whose standard output nobody reads.
    pub fn start_unread(self) -> (Server, ChildStdout) {
        let Start {
            mut command,
            free_port,
            announcement,
            deadline,
            log,
        } = self;
        if free_port {
            command.args(FREE_PORT);
        }
        let (mut server, stdout) = Server::spawned(&mut command);
        let line = match log {
            Some(log) => server.wait_in_file(&log, &announcement),
            None => server.wait_within(deadline, &announcement, 1),
        };
        server.note_address(&line);
        (server, stdout)
    }

    /// Runs what is expected to end by itself.
    pub fn finished(self) -> Output {
        finished(self.command())
    }

    /// The whole command, for a test that runs it itself.
    pub fn command(mut self) -> Command {
        if self.free_port {
            self.command.args(FREE_PORT);
        }
        self.command
    }

    /// Starts the server with an admin address on a free port.
    pub fn watched(self) -> Watched {
        Watched::over(self.option("--admin", "127.0.0.1:0").start())
    }
}
