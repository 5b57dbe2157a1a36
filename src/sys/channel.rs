//! Messages between processes, with a descriptor where one is wanted.

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Two ends of a channel that keeps the bounds of messages (unix(7), SOCK_SEQPACKET).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    Ok(ends)
}

/// A pipe (pipe(2)): the reading end, and the writing end that keeps it open.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// Sends one message; blocks while there is no room for it.
pub fn send(fd: &OwnedFd, bytes: &[u8], carried: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let raw = carried.map(|fd| [fd.as_raw_fd()]);
    let control: Vec<ControlMessage<'_>> = raw
        .iter()
        .map(|fds| ControlMessage::ScmRights(fds))
        .collect();
    let text = [IoSlice::new(bytes)];
    sendmsg::<()>(
        fd.as_raw_fd(),
        &text,
        &control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// What a channel has to offer.
#[derive(Debug)]
pub enum Received {
    /// One message: its length in the buffer, and what it carried.
    Message(usize, Option<OwnedFd>),
    Nothing,
    /// Nobody can send any more.
    Closed,
}

/// Waits until there is a message or an end, or so long.
pub fn wait(fd: &OwnedFd, patience: Option<Duration>) {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let timeout = patience.map_or(PollTimeout::NONE, |patience| {
        patience.try_into().unwrap_or(PollTimeout::MAX)
    });
    let _ = poll(&mut polled, timeout);
}

/// One message, if there is one. Descriptors beyond the first are closed.
pub fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = cmsg_space!([RawFd; 1]);
    let mut text = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = match recvmsg::<()>(fd.as_raw_fd(), &mut text, Some(&mut space), flags) {
        Ok(message) => message,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(Received::Nothing),
        Err(nix::Error::ECONNRESET) => return Ok(Received::Closed),
        Err(error) => return Err(error.into()),
    };
    let mut carried = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel just installed these descriptors for us, and nobody else has them.
            carried.extend(fds.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    // Nobody here sends an empty message: it is how the kernel tells the end (recv(2)).
    Ok(match message.bytes {
        0 => Received::Closed,
        length => Received::Message(length, carried.into_iter().next()),
    })
}
