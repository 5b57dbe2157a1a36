//! This file finds executables, and has this one become another, with what is kept across that.
//!
//! Looking through PATH is five lines over `std::env::split_paths`: the crate `which` is for other systems too.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Finds where this executable was started from: by the name that it was called by and not what that referred to, so
/// that what has been put in its place meanwhile is found. Relative names are resolved now.
pub fn own_path() -> io::Result<PathBuf> {
    let called = std::env::args_os().next().unwrap_or_default();
    if called.as_encoded_bytes().contains(&b'/') {
        return std::path::absolute(called);
    }
    match on_path(&called) {
        Some(found) => std::path::absolute(found),
        None => std::env::current_exe(),
    }
}

/// Looks for an executable file in the directories of PATH.
pub fn on_path(name: impl AsRef<Path>) -> Option<PathBuf> {
    executable_in(&std::env::var_os("PATH").unwrap_or_default(), name.as_ref())
}

/// Looks in these directories, in their order, for a file that somebody may execute.
fn executable_in(directories: &OsStr, name: &Path) -> Option<PathBuf> {
    let mut candidates = std::env::split_paths(directories).map(|directory| directory.join(name));
    candidates.find(|candidate| {
        std::fs::metadata(candidate)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// Replaces this executable by the one at `path`, called as this one was, with these variables in
/// its environment besides those that are there (execve(2)). The signal mask, pending signals and
/// children stay. Returns where that fails.
pub fn replace(path: &Path, variables: &[(&str, String)]) -> io::Error {
    let text = |text: OsString| CString::new(text.into_vec()).unwrap_or_default();
    let arguments: Vec<CString> = std::env::args_os().map(text).collect();
    let inherited = std::env::vars_os()
        .filter(|(name, _)| !variables.iter().any(|(ours, _)| name == *ours))
        .map(|(name, value)| joined(&name, &value));
    let ours = variables
        .iter()
        .map(|(name, value)| joined(OsStr::new(name), OsStr::new(value)));
    let environment: Vec<CString> = inherited.chain(ours).map(text).collect();
    let Err(error) = nix::unistd::execve(&text(path.into()), &arguments, &environment);
    error.into()
}

fn joined(name: &OsStr, value: &OsStr) -> OsString {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    text
}

/// Decides whether a descriptor stays open when this executable is replaced (FD_CLOEXEC, fcntl(2)).
pub fn keep_across(fd: RawFd, keep: bool) -> io::Result<()> {
    let flags = match keep {
        true => FdFlag::empty(),
        false => FdFlag::FD_CLOEXEC,
    };
    // SAFETY: the descriptor is only borrowed for this call; should it be closed, the call fails.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Takes over a descriptor that the executable before this one left open. From here on it is close-on-exec.
///
/// # Safety
///
/// Nothing in this process owns it.
pub unsafe fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    keep_across(fd, false)?;
    // SAFETY: it is open, as was just seen, and nobody else owns it, as this function demands.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes a variable out of the environment, so that it goes no further.
pub fn take_variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    debug_assert!(super::fork::thread_count().is_none_or(|count| count == 1));
    // SAFETY: it is called before any thread is started.
    unsafe { std::env::remove_var(name) };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shells pass over such a file too, and would run the next.
    #[test]
    fn a_file_that_nobody_may_execute_is_passed_over_on_the_path() {
        let all = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| all.path().join(name));
        for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
            std::fs::create_dir(directory).unwrap();
            let tool = directory.join("tool");
            std::fs::write(&tool, "").unwrap();
            std::fs::set_permissions(&tool, PermissionsExt::from_mode(mode)).unwrap();
        }
        let directories = std::env::join_paths([&first, &second]).unwrap();
        let found = executable_in(&directories, Path::new("tool"));
        assert_eq!(found, Some(second.join("tool")));
        assert_eq!(executable_in(&directories, Path::new("none")), None);
    }
}
