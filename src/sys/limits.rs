//! This file says which limit of the system is behind an error, and how it is raised.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread of this name.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let thread = Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(explained)
}

/// Adds to the error of a system call that makes a process, a thread or room in memory which limit stands behind it,
/// where that can be told (fork(2), pthread_create(3), mmap(2)).
pub fn explained(error: io::Error) -> io::Error {
    let remedy = match error.raw_os_error() {
        Some(libc::EAGAIN) => Some(
            "raise the limit of processes: `ulimit -u`, `TasksMax=` of a unit, pids of a container"
                .to_owned(),
        ),
        Some(libc::ENOMEM) => of_memory(),
        _ => None,
    };
    match remedy {
        Some(remedy) => io::Error::new(error.kind(), format!("{error}; {remedy}")),
        None => error,
    }
}

/// Says how to raise what bounds the memory of each process, where something does.
pub fn of_memory() -> Option<String> {
    let bounds = [(Resource::RLIMIT_AS, 'v'), (Resource::RLIMIT_DATA, 'd')];
    bounds.into_iter().find_map(|(resource, option)| {
        let (soft, _) = getrlimit(resource).ok()?;
        (soft != RLIM_INFINITY).then(|| {
            let mebibytes = soft >> 20;
            format!("raise `ulimit -{option}`, which is {mebibytes} MiB")
        })
    })
}
