//! Writing to a descriptor that belongs to nobody in particular.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// write(2) to standard output (1) or standard error (2).
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is only borrowed for this call; should it be closed, the call fails.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(nix::unistd::write(fd, bytes)?)
}
