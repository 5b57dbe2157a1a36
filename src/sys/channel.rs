//! Messages between processes go over pipes where what comes must carry nothing, and over sockets where descriptors go
//! along.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    recvmsg, sendmsg, shutdown, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes a pipe (pipe(2)): the reading end, and the writing end that keeps it open.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// Makes a pipe whose reading end is never waited for. It is another open file than the writing end, which can
/// therefore not change that (fcntl(2), F_SETFL).
pub fn one_way() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

/// Has writing to a pipe be an error, and no wait, where it is full.
pub fn never_wait(writer: &OwnedFd) -> io::Result<()> {
    fcntl(writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Has a pipe take this many bytes, where the kernel allows it (F_SETPIPE_SZ, fcntl(2)).
pub fn widen(writer: &OwnedFd, bytes: usize) {
    let bytes = bytes.try_into().unwrap_or(i32::MAX);
    let _ = fcntl(writer, FcntlArg::F_SETPIPE_SZ(bytes));
}

/// A `Piece` is what a pipe has to offer.
#[derive(Debug)]
pub enum Piece {
    /// The pipe had this many bytes, which are in the buffer.
    Bytes(usize),
    Nothing,
    /// Nobody can write any more.
    End,
}

/// Reads what is in a pipe, as far as the buffer has room for it.
pub fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Piece> {
    match nix::unistd::read(fd, buffer) {
        Ok(0) => Ok(Piece::End),
        Ok(length) => Ok(Piece::Bytes(length)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(Piece::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Says whether nobody holds the writing end of a pipe any more (POLLHUP, poll(2)).
pub fn is_hung_up(fd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::empty())];
    let known = poll(&mut polled, PollTimeout::ZERO).is_ok();
    let events = polled[0].revents();
    known && events.is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Writes everything; blocks while there is no room for it.
pub fn write(fd: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes two ends of a channel that keeps the bounds of messages (unix(7), SOCK_SEQPACKET).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    Ok(ends)
}

/// Makes a channel of one direction, from the first end to the second: nothing can be sent back, and so nothing can lie
/// in the first end's queue, descriptors included, when it is closed (shutdown(2)).
pub fn downward() -> io::Result<(OwnedFd, OwnedFd)> {
    let (sender, receiver) = pair()?;
    shutdown(sender.as_raw_fd(), Shutdown::Read)?;
    Ok((sender, receiver))
}

/// Sends one message, with descriptors. An error where there is no room for it now.
pub fn send(fd: &OwnedFd, bytes: &[u8], carried: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = carried.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[] } else { &control[..] };
    let text = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(fd.as_raw_fd(), &text, control, flags, None)?;
    Ok(())
}

/// `Received` is what a channel has to offer.
#[derive(Debug)]
pub enum Received {
    /// There was one message, which has this length in the buffer and carried these descriptors.
    Message(usize, Vec<OwnedFd>),
    Nothing,
    /// Nobody can send any more.
    Closed,
}

/// Waits until there is a message or an end.
pub fn wait(fd: &OwnedFd) {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut polled, PollTimeout::NONE);
}

/// Receives one message, if there is one, with up to two descriptors. This is not for what somebody else may fill:
/// closing a descriptor that was received can take as long as its sender likes (SO_LINGER, socket(7)).
pub fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = cmsg_space!([RawFd; 2]);
    let mut text = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = match recvmsg::<()>(fd.as_raw_fd(), &mut text, Some(&mut space), flags) {
        Ok(message) => message,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Received::Nothing),
        Err(Errno::ECONNRESET) => return Ok(Received::Closed),
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
        length => Received::Message(length, carried),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a child sends upward lies in no queue of the supervisor's, whatever it carries.
    #[test]
    fn a_downward_channel_takes_nothing_back() {
        let (above, below) = downward().unwrap();
        let carried = io::stdin();
        let error = send(&below, b"up", &[carried.as_fd()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        send(&above, b"down", &[carried.as_fd()]).unwrap();
        let mut buffer = [0; 8];
        let received = receive(&below, &mut buffer).unwrap();
        assert!(matches!(received, Received::Message(4, fds) if fds.len() == 1));
    }

    /// A child that reads no more would keep its parent.
    #[test]
    fn a_full_channel_is_an_error_and_no_wait() {
        let (above, _below) = downward().unwrap();
        let error = (0..10_000).find_map(|_| send(&above, b"down", &[]).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
