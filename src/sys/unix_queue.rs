//! The kernel says by netlink how many connections wait at a Unix socket that listens (sock_diag(7)).

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use nix::sys::stat::fstat;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A question and its answer are of this type (netlink(7)).
const BY_FAMILY: u16 = 20;
/// A question has this flag (netlink(7)).
const REQUEST: u16 = 1;

/// A question asks for the queue by this flag.
const SHOW_QUEUE: u32 = 0x10;
/// The answer has the queue in this attribute: two numbers of four bytes, the first of which is the number of
/// connections that wait.
const QUEUE: u16 = 4;

/// A header and what is asked of Unix sockets take this many bytes.
const QUESTION: usize = 40;
/// A header and what is always answered take this many bytes.
const ANSWER: usize = 32;

/// Returns how many connections wait at this socket.
pub fn accept_queue(listening: BorrowedFd<'_>) -> io::Result<u32> {
    let inode = fstat(listening)?.st_ino;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkSockDiag;
    let asked = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    let none = MsgFlags::empty();
    // The inodes of sockets have 32 bits.
    send(asked.as_raw_fd(), &question(inode as u32), none)?;
    let mut answer = [0; 512];
    // It was answered while it was asked.
    let length = recv(asked.as_raw_fd(), &mut answer, none)?;
    let queue = queue(&answer[..length.min(answer.len())]);
    queue.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn question(inode: u32) -> [u8; QUESTION] {
    let mut question = [0; QUESTION];
    let mut put = |place: usize, bytes: &[u8]| {
        question[place..place + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &(QUESTION as u32).to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(16, &[libc::AF_UNIX as u8]);
    // Of every state, and whatever its cookie.
    put(20, &u32::MAX.to_ne_bytes());
    put(24, &inode.to_ne_bytes());
    put(28, &SHOW_QUEUE.to_ne_bytes());
    put(32, &[0xff; 8]);
    question
}

/// Finds the number in an answer; `None` where it is an error, or says something else.
fn queue(answer: &[u8]) -> Option<u32> {
    if answer.get(4..6)? != BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let mut attributes = answer.get(ANSWER..)?;
    loop {
        let number = |place: usize| Some([*attributes.get(place)?, *attributes.get(place + 1)?]);
        let (length, kind) = (
            u16::from_ne_bytes(number(0)?),
            u16::from_ne_bytes(number(2)?),
        );
        if kind == QUEUE {
            let waiting = attributes.get(4..8)?;
            return Some(u32::from_ne_bytes(waiting.try_into().ok()?));
        }
        let next = usize::from(length).max(4).next_multiple_of(4);
        attributes = attributes.get(next..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_what_is_none_is_not() {
        let mut answer = vec![0; ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        let attribute = |kind: u16, value: &[u8]| {
            let head = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()];
            let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
            [head.as_flattened(), value, &padding].concat()
        };
        let other = attribute(6, &[1]);
        let both = [7_u32.to_ne_bytes(), 128_u32.to_ne_bytes()];
        answer.extend([other, attribute(QUEUE, both.as_flattened())].concat());
        assert_eq!(queue(&answer), Some(7));
        for length in 0..answer.len() - 4 {
            assert_eq!(queue(&answer[..length]), None);
        }
        answer[4] = 2;
        assert_eq!(queue(&answer), None);
        let mut endless = vec![0; ANSWER + 8];
        endless[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        assert_eq!(queue(&endless), None);
    }
}
