//! A descriptor is put into the epoll set of an event loop that is not ours, so that an event wakes one of the
//! processes that wait for it, and not all of them (EPOLLEXCLUSIVE, epoll_ctl(2)).
//!
//! It is our own, as tokio offers no such thing. So tokio is given a stand-in, and this descriptor is put beside it
//! into the same set under the same token: the loop takes what happens to the one for what happens to the other.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// No more descriptors than these are looked at to find the loop's set.
const HIGHEST: RawFd = 4096;

/// The loop's own tokens are smaller than this, those of its waker and of its signals; all others are addresses.
const ITS_OWN: u64 = 4096;

/// An `Exclusive` descriptor shares an event with other processes. Of those that wait at the time, the one that joined
/// first is woken; a process that runs, or is stopped, is passed over.
#[derive(Debug)]
pub struct Exclusive<S> {
    epoll: OwnedFd,
    token: u64,
    shared: OwnedFd,
    joined: Cell<bool>,
    /// The stand-in is dropped after this has left the set: until then the loop knows the token.
    stand_in: S,
}

impl<S: AsRawFd> Exclusive<S> {
    /// The loop must just have been given `stand_in`, which is readable, and nothing else may have happened
    /// in it since.
    pub fn new(stand_in: S, shared: OwnedFd) -> io::Result<Exclusive<S>> {
        let epoll = holder(stand_in.as_raw_fd())?;
        let token = first_token(&epoll)?;
        Ok(Exclusive {
            epoll,
            token,
            shared,
            joined: Cell::new(false),
            stand_in,
        })
    }

    /// Returns what the loop tells events of.
    pub fn stand_in(&self) -> &S {
        &self.stand_in
    }

    /// Waits with the others, behind all who wait already. An event that is there is told.
    pub fn join(&self) -> io::Result<()> {
        if self.joined.get() {
            return Ok(());
        }
        let events = (libc::EPOLLIN | libc::EPOLLEXCLUSIVE).cast_unsigned();
        let joined = match self.control(libc::EPOLL_CTL_ADD, events) {
            // Some kernels do not know it: then all are woken.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.control(libc::EPOLL_CTL_ADD, libc::EPOLLIN.cast_unsigned())
            }
            other => other,
        };
        self.joined.set(joined.is_ok());
        joined
    }

    /// Leaves the set, so that this process is not woken any more.
    pub fn leave(&self) {
        if self.joined.replace(false) {
            // It is in the set, so that it can be taken out.
            let _ = self.control(libc::EPOLL_CTL_DEL, 0);
        }
    }

    /// Lets all others be woken first.
    pub fn step_back(&self) -> io::Result<()> {
        self.leave();
        self.join()
    }

    fn control(&self, operation: i32, events: u32) -> io::Result<()> {
        let shared = self.shared.as_raw_fd();
        control(
            self.epoll.as_raw_fd(),
            operation,
            shared,
            events,
            self.token,
        )
    }
}

impl<S> Drop for Exclusive<S> {
    fn drop(&mut self) {
        if self.joined.get() {
            let (epoll, shared) = (self.epoll.as_raw_fd(), self.shared.as_raw_fd());
            let _ = control(epoll, libc::EPOLL_CTL_DEL, shared, 0, self.token);
        }
    }
}

/// Finds the set that `fd` is in. Adding it once more is refused there, and nowhere else in this way.
fn holder(fd: RawFd) -> io::Result<OwnedFd> {
    for candidate in 0..HIGHEST {
        match control(candidate, libc::EPOLL_CTL_ADD, fd, 0, 0) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                // SAFETY: duplicating a descriptor changes nothing about it; what comes of it is
                // nobody else's.
                return unsafe {
                    match libc::fcntl(candidate, libc::F_DUPFD_CLOEXEC, 0) {
                        -1 => Err(io::Error::last_os_error()),
                        copy => Ok(OwnedFd::from_raw_fd(copy)),
                    }
                };
            }
            Err(_) => {}
            // A set of somebody else's.
            Ok(()) => control(candidate, libc::EPOLL_CTL_DEL, fd, 0, 0)?,
        }
    }
    Err(io::Error::other("the event loop's epoll set is not found"))
}

/// Gives the token of the one event that has happened.
fn first_token(epoll: &OwnedFd) -> io::Result<u64> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
    let room = i32::try_from(events.len()).expect("eight is few");
    // SAFETY: the kernel writes as many events as there is room for, at most.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, 0) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let tokens = events[..count].iter().map(|event| event.u64);
    let mut tokens = tokens.filter(|token| *token >= ITS_OWN);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token),
        _ => Err(io::Error::other("the event loop's token is not found")),
    }
}

fn control(epoll: RawFd, operation: i32, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: the kernel only reads the event.
    match unsafe { libc::epoll_ctl(epoll, operation, fd, &raw mut event) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
