//! This file asks the kernel about processes: how children ended, and how large they are.

use super::memory::page_size;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// An `End` says how a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Killed(Signal),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(status) => write!(f, "it exited with status {status}"),
            End::Killed(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// Finds a child that has ended, ours or one that was left to us, and that goes on being known until it is reaped;
/// none where all live on (WNOWAIT, waitid(2)).
pub fn ended_child() -> Option<Pid> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, flags) {
            Err(nix::Error::EINTR) => {}
            Ok(status) => return status.pid(),
            Err(_) => return None,
        }
    }
}

/// Says whether this process is a child of ours, which has not been reaped.
pub fn is_child(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    pid.as_raw() > 0 && waitid(Id::Pid(pid), flags).is_ok()
}

/// Says whether there is such a process and it has not ended, be it that its parent has not asked how
/// (proc_pid_stat(5)).
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its name may have anything in it.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Sends a signal. A process that is gone already is no error.
pub fn signal(pid: Pid, signal: Signal) {
    let _ = kill(pid, signal);
}

/// Has the orphans of our descendants become our children (PR_SET_CHILD_SUBREAPER(2const)), as they
/// do where this is process 1.
pub fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Reads the resident memory in bytes (`/proc/<pid>/statm`, proc_pid_statm(5)).
pub fn resident(pid: Pid) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

/// Has this process killed when its parent dies (PR_SET_PDEATHSIG(2const)): for a child whose work
/// nobody else would want. The parent has one thread, so that its end is the thread's.
pub fn die_with_parent() {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

/// Sets what this process is called in lists of processes (PR_SET_NAME(2const)).
pub fn call(name: &CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// Waits until nobody holds the other end of a pipe any more; false where something else woke us.
pub fn has_ended(pipe: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let woken = poll(&mut polled, PollTimeout::NONE).is_ok();
    woken
        && polled[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Counts how often the kernel killed a process of this control group for want of memory: `memory.events` (cgroup v2)
/// or `memory.oom_control` (v1), or of the whole machine where neither can be read.
pub fn memory_kills() -> u64 {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_group = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let file = if controllers.is_empty() {
            format!("/sys/fs/cgroup{path}/memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            format!("/sys/fs/cgroup/memory{path}/memory.oom_control")
        } else {
            return None;
        };
        counted(&file)
    });
    of_group.or_else(|| counted("/proc/vmstat")).unwrap_or(0)
}

/// The value of `oom_kill` in a file of names and values.
fn counted(file: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let kills = lines.find_map(|line| line.strip_prefix("oom_kill "))?;
    kills.trim().parse().ok()
}

/// Allows as many descriptors as the hard limit does (getrlimit(2)): a connection takes one. Returns how many that is,
/// where it is known.
pub fn raise_descriptor_limit() -> Option<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    Some(hard)
}

/// Draws a random number, for jitter.
pub fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer has the length that is given.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    u64::from_ne_bytes(bytes)
}

/// Waits until a child of ours has ended, and says how; none where there is no such child.
pub fn wait_for(child: Pid) -> Option<End> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Some(End::Exited(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Some(End::Killed(signal)),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Kills a child of ours, and waits until it has ended.
pub fn kill_and_reap(child: Pid) {
    signal(child, Signal::SIGKILL);
    let _ = wait_for(child);
}

/// Ends this process at once: neither destructors nor exit handlers run.
pub fn leave() -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(0) }
}

/// Returns which process this is.
pub fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// Returns how this child of ours has ended; none where it lives.
pub fn ended(pid: Pid) -> Option<End> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(End::Exited(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(End::Killed(signal)),
        // Not ours: it cannot be waited for.
        Err(nix::Error::ECHILD) => Some(End::Exited(-1)),
        _ => None,
    }
}

/// Ends a child of ours with its process group, which it leads: asked to first, and killed where that takes
/// longer than `grace`.
pub fn end_group(leader: Pid, grace: Duration) {
    let deadline = Instant::now() + grace;
    let _ = killpg(leader, Signal::SIGTERM);
    while ended(leader).is_none() {
        if Instant::now() >= deadline {
            let _ = killpg(leader, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Whoever is left of the group.
    let _ = killpg(leader, Signal::SIGKILL);
}

/// Starts a child that leads a process group of its own, and is told to end when this process dies
/// (PR_SET_PDEATHSIG(2const)), however that comes.
pub fn start(command: &mut Command) -> std::io::Result<Pid> {
    command.process_group(0);
    // SAFETY: prctl(2) may be called between fork and exec (signal-safety(7)).
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?));
    }
    let child = command.spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}
