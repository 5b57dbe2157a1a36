//! A wasmserve that is running: started on a free port, its output read, its processes killed at the
//! end.

use super::{PATIENCE, eventually};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a component of fifty megabytes may take to be compiled, while other tests run.
const COMPILING: Duration = Duration::from_secs(600);

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

pub struct Server {
    child: Child,
    output: Arc<Lines>,
    /// The first that was announced, if that is TCP.
    pub address: SocketAddr,
}

/// Everything that was printed, line by line.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    closed: AtomicBool,
}

impl Server {
    /// Starts a server with these arguments on a free port, and waits until it runs.
    pub fn start(arguments: &[&str]) -> Server {
        let mut command = wasmserve();
        command.args(arguments).args(["--port", "0"]);
        Server::start_command(command)
    }

    /// The same for a command that was made ready.
    pub fn start_command(command: Command) -> Server {
        let (server, stdout) = Server::start_unread(command);
        drain(stdout, server.output.clone());
        server
    }

    /// The same, with a standard output that nobody reads.
    pub fn start_unread(command: Command) -> (Server, ChildStdout) {
        Server::announced_by("wasmserve running on ", command)
    }

    /// The same for one that has much to compile first.
    pub fn start_large(command: Command) -> Server {
        let announced = "wasmserve running on ";
        let (server, stdout) = Server::announced_within(COMPILING, announced, command);
        drain(stdout, server.output.clone());
        server
    }

    /// A uvicorn, which announces itself the same way.
    pub fn start_uvicorn(command: Command) -> Server {
        let (server, stdout) = Server::announced_by("Uvicorn running on ", command);
        drain(stdout, server.output.clone());
        server
    }

    /// The same for one that is not to get as far: until it prints `text`.
    pub fn start_until(text: &str, command: Command) -> Server {
        let (server, stdout) = Server::announced_by(text, command);
        drain(stdout, server.output.clone());
        server
    }

    /// Starts one and stops it, to have the code of a large component compiled and kept.
    pub fn compile(component: &str) {
        let mut command = wasmserve();
        command.args([component, "--port", "0"]);
        drop(Server::start_large(command));
    }

    /// The same for one that says what it does in a file.
    pub fn start_logged(mut command: Command, log: &Path) -> Server {
        let (mut server, stdout) = Server::spawned(&mut command);
        drain(stdout, server.output.clone());
        let mut line = None;
        eventually("the server runs", || {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let announced = text
                .lines()
                .find(|line| line.contains("wasmserve running on "));
            line = announced.map(str::to_owned);
            line.is_some()
        });
        server.note_address(&line.unwrap());
        server
    }

    fn announced_by(text: &str, command: Command) -> (Server, ChildStdout) {
        Server::announced_within(PATIENCE, text, command)
    }

    fn announced_within(
        patience: Duration,
        text: &str,
        mut command: Command,
    ) -> (Server, ChildStdout) {
        let (mut server, stdout) = Server::spawned(&mut command);
        let line = server.wait_within(patience, text, 1);
        server.note_address(&line);
        (server, stdout)
    }

    fn spawned(command: &mut Command) -> (Server, ChildStdout) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the executable can be started");
        let output = Arc::new(Lines::default());
        let stdout = child.stdout.take();
        drain(child.stderr.take().unwrap(), output.clone());
        let server = Server {
            child,
            output,
            address: SocketAddr::from(([0; 4], 0)),
        };
        (server, stdout.unwrap())
    }

    fn note_address(&mut self, line: &str) {
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
        self.wait_within(PATIENCE, text, count)
    }

    fn wait_within(&self, patience: Duration, text: &str, count: usize) -> String {
        let deadline = Instant::now() + patience;
        let mut lines = self
            .output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines
                .iter()
                .filter(|line| line.contains(text))
                .nth(count - 1)
            {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no line with `{text}` in:\n{}",
                lines.join("\n")
            );
            lines = self.output.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Where it runs, as it was announced, one URL or path an address.
    pub fn announced(&self) -> Vec<String> {
        let lines = self.printed();
        let announced = lines.lines().filter_map(|line| {
            let (_, rest) = line.split_once("wasmserve running on ")?;
            Some(rest.strip_suffix(" (Press CTRL+C to quit)")?.to_owned())
        });
        announced.collect()
    }

    /// Everything printed so far.
    pub fn printed(&self) -> String {
        self.output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n")
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The worker processes, in the order in which they were forked.
    pub fn workers(&self) -> Vec<i32> {
        let children = self.children().into_iter();
        let others = ["zygote", "admin", "log", "exporter"];
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

    fn children(&self) -> Vec<i32> {
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
        self.output.closed.store(true, Ordering::Relaxed);
        // The readers notice with the next line.
        for _ in 0..2 {
            super::get(self.address, "/");
        }
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

fn drain(pipe: impl Read + Send + 'static, output: Arc<Lines>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if output.closed.load(Ordering::Relaxed) {
                return;
            }
            output
                .lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
            output.grown.notify_all();
        }
    });
}

/// Runs a command that is expected to end by itself, at the latest when a large component is compiled.
pub fn finished(command: Command) -> Output {
    finished_within(command, COMPILING)
}

/// The same in less time. A server that should have refused to start is killed then.
pub fn finished_within(mut command: Command, limit: Duration) -> Output {
    let about = format!("{command:?}");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the executable can be started");
    let group = Pid::from_raw(child.id().cast_signed());
    let (ended, awaited) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let is_late = awaited.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if is_late {
            let _ = killpg(group, Signal::SIGKILL);
        }
        is_late
    });
    let output = child.wait_with_output().expect("its output is read");
    drop(ended);
    let is_late = watch.join().expect("it only waits");
    assert!(!is_late, "{about} did not end within {limit:?}: {output:?}");
    output
}

/// Leaves these sockets open to `command`, as descriptors 3 and following.
pub fn leave_open(command: &mut Command, sockets: Vec<OwnedFd>) {
    // SAFETY: dup2(2) and fcntl(2) may be called between fork and exec (signal-safety(7)).
    unsafe {
        command.pre_exec(move || {
            // First out of the way of the numbers that are wanted.
            let mut moved = Vec::new();
            for socket in &sockets {
                moved.push(libc::fcntl(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100));
            }
            for (number, fd) in (3..).zip(moved) {
                if libc::dup2(fd, number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}
