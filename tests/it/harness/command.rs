//! Commands that end by themselves, and descriptors that are left to them.

use super::COMPILING;
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Runs a command that is expected to end by itself, at the latest when a large component is compiled.
pub fn finished(command: Command) -> Output {
    finished_within(command, COMPILING)
}

/// The same in less time. A server that should have refused to start is killed then.
pub fn finished_within(mut command: Command, limit: Duration) -> Output {
    let about = format!("{command:?}");
    let child = spawned(&mut command);
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

/// Starts a command in a group of its own, with nothing to read and with pipes for what it prints.
pub fn spawned(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the executable can be started")
}

/// The command that `wrapper` runs `inner` with, in the environment of `inner`.
pub fn under(wrapper: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
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
