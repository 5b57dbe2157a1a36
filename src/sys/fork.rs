//! This file forks, and does what a child does first.

use super::limits;
use super::process::End;
use nix::unistd::{ForkResult, Pid, getpid, getppid};
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// Forks; the child runs `child` and ends with the status that it returns, by `_exit`: neither
/// destructors nor exit handlers of the parent run in it.
///
/// # Safety
///
/// The calling process has one thread. In the child of a process with several, every lock that
/// another thread held would stay locked.
pub unsafe fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: as this function demands.
    match unsafe { nix::unistd::fork() }.map_err(refused)? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let run = std::panic::AssertUnwindSafe(child);
            let status = std::panic::catch_unwind(run).unwrap_or(1);
            // SAFETY: _exit(2) has no preconditions.
            unsafe { libc::_exit(status) }
        }
    }
}

fn refused(error: nix::Error) -> io::Error {
    limits::explained(error.into())
}

/// The end of a process that has nothing more to do may take this long.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Forks a process that is not ours: one in between forks it and ends, so that it is left to the next process above
/// that adopts orphans (PR_SET_CHILD_SUBREAPER(2const)). Returns true in the new process, once that is so. Fails where
/// this process has further threads.
pub fn fork_away() -> io::Result<bool> {
    if thread_count() != Some(1) {
        return Err(io::Error::other(
            "a process with several threads cannot fork",
        ));
    }
    // SAFETY: there is one thread.
    if let ForkResult::Parent { child } = unsafe { nix::unistd::fork() }.map_err(refused)? {
        return match super::process::wait_for(child) {
            Some(End::Exited(0)) => Ok(false),
            _ => Err(io::Error::other("no process could be forked")),
        };
    }
    let between = getpid();
    // SAFETY: the same.
    let status = match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => {
            // No signal tells of it, and it takes no time worth speaking of.
            let deadline = Instant::now() + END_TIMEOUT;
            while getppid() == between && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(50));
            }
            return Ok(true);
        }
        Ok(ForkResult::Parent { .. }) => 0,
        Err(_) => 1,
    };
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Forks as [`fork`] does, where this process has one thread; an error where it has more.
pub fn fork_alone(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    if thread_count() != Some(1) {
        return Err(io::Error::other(
            "a process with several threads cannot fork",
        ));
    }
    // SAFETY: there is one thread.
    unsafe { fork(child) }
}

/// Closes every descriptor above standard error but these.
///
/// # Safety
///
/// Nothing that owns another descriptor is used, or dropped, afterwards.
pub unsafe fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<u32> = kept
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd >= 3)
        .collect();
    kept.sort_unstable();
    kept.push(u32::MAX);
    let mut first = 3;
    for fd in kept {
        if first < fd {
            // SAFETY: as this function demands.
            unsafe { close_range(first, fd - 1) };
        }
        first = fd.saturating_add(1);
    }
}

/// Closes descriptors by close_range(2), or one by one where the kernel does not have it (before 5.9) or a filter of
/// system calls does not know it.
///
/// # Safety
///
/// As for [`close_all_but`].
unsafe fn close_range(first: u32, last: u32) {
    // SAFETY: as this function demands.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let open: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as this function demands.
        unsafe { libc::close(fd.cast_signed()) };
    }
}

/// Counts the threads of this process (`Threads` of proc_pid_status(5)).
pub fn thread_count() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}
