//! Writing to a descriptor that belongs to nobody in particular.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

/// write(2) to standard output (1) or standard error (2).
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is only borrowed for this call; should it be closed, the call fails.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(nix::unistd::write(fd, bytes)?)
}

/// Whether a write would not block, at once or within `patience` (poll(2)). A descriptor that is
/// broken is ready to say so.
pub fn takes_writes(fd: RawFd, patience: Duration) -> bool {
    // SAFETY: as in `write`.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    !matches!(
        poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], patience),
        Ok(0)
    )
}
