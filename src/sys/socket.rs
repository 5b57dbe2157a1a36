//! This file has listening sockets, and asks the kernel about connections.

use super::unix_queue;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr,
    bind, connect, getsockname, getsockopt, listen, recv, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};
use nix::sys::time::TimeVal;
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A `Listening` socket is non-blocking and close-on-exec.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A `LocalAddress` is where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    Inet(SocketAddr),
    /// The path is `None` where the socket has no name, or one that is no path.
    Unix(Option<PathBuf>),
}

impl Listening {
    pub fn place(&self) -> io::Result<LocalAddress> {
        match self {
            Listening::Tcp(socket) => socket.local_addr().map(LocalAddress::Inet),
            Listening::Unix(socket) => {
                let address = socket.local_addr()?;
                Ok(LocalAddress::Unix(
                    address.as_pathname().map(Path::to_owned),
                ))
            }
        }
    }
}

/// Accepting waits no longer than this where somebody has taken O_NONBLOCK away (SO_RCVTIMEO, socket(7)).
const MOMENT_US: i64 = 10_000;

impl Listening {
    /// Duplicates the socket under a number that nothing else gets ([`moved_up`]).
    pub fn moved_up(&self) -> io::Result<Listening> {
        let socket = moved_up(self.as_fd())?;
        Ok(match self {
            Listening::Tcp(_) => Listening::Tcp(socket.into()),
            Listening::Unix(_) => Listening::Unix(socket.into()),
        })
    }

    /// Says whether clients can still connect: neither was it shut down, nor taken apart in another way. A TCP socket
    /// that was shut down does not accept any more (SO_ACCEPTCONN, socket(7)), a Unix one hangs up (poll(2)).
    pub fn listens(&self) -> bool {
        let accepts = getsockopt(self, sockopt::AcceptConn).unwrap_or(false);
        accepts && which([self.as_fd()].into_iter(), hangs_up()) == [false]
    }

    /// Has accepting not wait, and says whether it would have.
    pub fn unblock(&self) -> bool {
        let _ = setsockopt(self, sockopt::ReceiveTimeout, &TimeVal::new(0, MOMENT_US));
        let flags = fcntl(self, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        let Ok(flags) = flags else { return false };
        let blocks = !flags.contains(OFlag::O_NONBLOCK);
        if blocks {
            let _ = fcntl(self, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK));
        }
        blocks
    }

    /// Returns how many connections wait to be accepted; none where the system does not say.
    pub fn waiting(&self) -> Option<u32> {
        match self {
            Listening::Tcp(socket) => accept_queue(socket.as_fd()).ok(),
            Listening::Unix(socket) => unix_queue::accept_queue(socket.as_fd()).ok(),
        }
    }

    /// Listens again (listen(2)), which does no harm to a socket that does.
    pub fn listen_again(&self, backlog: i32) -> io::Result<()> {
        start(self, backlog)
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listening::Tcp(socket) => socket.as_fd(),
            Listening::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Listening {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Descriptors have numbers from here on that must not be those of something else after they were closed: the lowest
/// that is free is what others get.
const HIGH: RawFd = 960;

/// Duplicates a socket under a number that nothing else gets, for as long as most numbers are free.
pub fn moved_up(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let duplicate = |from| fcntl(socket, FcntlArg::F_DUPFD_CLOEXEC(from));
    let number = match duplicate(HIGH) {
        // Beyond the limit of descriptors (fcntl(2)).
        Err(nix::Error::EINVAL) => duplicate(0),
        number => number,
    }?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `OpenSocket` has what is known of a socket that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSocket {
    pub number: RawFd,
    pub listens: bool,
    pub is_unix: bool,
}

impl OpenSocket {
    pub fn accepts_unix(&self) -> bool {
        self.listens && self.is_unix
    }
}

/// Finds the sockets of this process.
pub fn open_sockets() -> io::Result<Vec<OpenSocket>> {
    let names = std::fs::read_dir("/proc/self/fd")?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.parse().ok());
    Ok(numbers.filter_map(open_socket).collect())
}

fn open_socket(number: RawFd) -> Option<OpenSocket> {
    // SAFETY: the descriptor is only borrowed for these calls; should it be closed, they fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let listens = getsockopt(&fd, sockopt::AcceptConn).ok()?;
    Some(OpenSocket {
        number,
        listens,
        is_unix: family(fd) == Some(AddressFamily::Unix),
    })
}

/// Binds and listens. An address that a closed connection still lingers on can be bound again
/// (SO_REUSEADDR, socket(7)). An IPv6 wildcard takes IPv4 clients too unless told not to.
pub fn listen_tcp(address: SocketAddr, only_v6: bool, backlog: i32) -> io::Result<Listening> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = stream(family)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &only_v6)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    start(&fd, backlog)?;
    listening(fd)
}

/// Makes a socket's file with these permissions, and listens. No other thread may make files
/// meanwhile (umask(2)).
pub fn listen_unix(path: &Path, permissions: u32, backlog: i32) -> io::Result<Listening> {
    debug_assert!(super::fork::thread_count().is_none_or(|count| count == 1));
    let fd = stream(AddressFamily::Unix)?;
    let address = UnixAddr::new(path)?;
    let before = umask(Mode::from_bits_truncate(!permissions & 0o777));
    let bound = bind(fd.as_raw_fd(), &address);
    umask(before);
    bound?;
    start(&fd, backlog)?;
    listening(fd)
}

/// Says whether somebody listens on the Unix socket at this path.
pub fn is_listened_on(path: &Path) -> io::Result<bool> {
    let fd = stream(AddressFamily::Unix)?;
    match connect(fd.as_raw_fd(), &UnixAddr::new(path)?) {
        // Its backlog is full (unix(7)).
        Ok(()) | Err(nix::Error::EAGAIN) => Ok(true),
        Err(nix::Error::ECONNREFUSED | nix::Error::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns how many connections wait at a TCP socket that listens: what is `tcpi_unacked` of others (tcp_get_info in
/// the kernel's net/ipv4/tcp.c).
fn accept_queue(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is what there is of it.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all of it is numbers, for which zeroes and whatever the kernel writes are valid.
    Ok(unsafe { info.assume_init() }.tcpi_unacked)
}

fn stream(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, SockType::Stream, flags, None)?)
}

fn start(fd: &impl AsFd, backlog: i32) -> io::Result<()> {
    let backlog = Backlog::new(backlog).unwrap_or(Backlog::MAXCONN);
    Ok(listen(fd, backlog)?)
}

/// Takes over a listening socket that was open when this executable began, or says what the descriptor is in place of
/// that. What this process opens itself is close-on-exec, and what it was left cannot have been.
pub fn inherited(number: RawFd) -> Result<Listening, String> {
    // SAFETY: the descriptor is only borrowed for these calls; should it be closed, they fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    if let Some(objection) = objection(fd) {
        return Err(objection.to_owned());
    }
    // SAFETY: as was just seen it is not close-on-exec, so that nobody in this process owns it; from
    // here on it is.
    let owned = unsafe { super::exec::inherited(number) };
    let listening = owned.and_then(listening);
    listening.map_err(|error| format!("cannot be taken over: {error}"))
}

fn objection(fd: BorrowedFd<'_>) -> Option<&'static str> {
    match fcntl(fd, FcntlArg::F_GETFD).map(FdFlag::from_bits_retain) {
        Ok(flags) if !flags.contains(FdFlag::FD_CLOEXEC) => {}
        _ => return Some("was not left open"),
    }
    match getsockopt(&fd, sockopt::SockType) {
        Err(_) => return Some("is not a socket"),
        Ok(SockType::Stream) => {}
        Ok(_) => return Some("is not a stream socket"),
    }
    match getsockopt(&fd, sockopt::AcceptConn) {
        Ok(true) => {}
        _ => return Some("is a socket that does not listen"),
    }
    match family(fd) {
        Some(AddressFamily::Inet | AddressFamily::Inet6 | AddressFamily::Unix) => None,
        _ => Some("is a socket of another kind than IPv4, IPv6 and Unix"),
    }
}

/// Takes a listening socket, whoever has made it.
pub fn listening(fd: OwnedFd) -> io::Result<Listening> {
    let listening = match family(fd.as_fd()) {
        Some(AddressFamily::Unix) => Listening::Unix(fd.into()),
        Some(_) => Listening::Tcp(fd.into()),
        None => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    listening.unblock();
    Ok(listening)
}

fn family(fd: BorrowedFd<'_>) -> Option<AddressFamily> {
    getsockname::<SockaddrStorage>(fd.as_raw_fd())
        .ok()?
        .family()
}

/// Says whether a connection waits to be accepted (poll(2)).
pub fn has_arrivals(listener: BorrowedFd<'_>) -> bool {
    let mut waits = [PollFd::new(listener, PollFlags::POLLIN)];
    poll(&mut waits, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Says at which of these sockets connections wait to be accepted.
pub fn have_arrivals<'a>(listeners: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<bool> {
    which(listeners, PollFlags::POLLIN)
}

/// Says which of these Unix sockets were shut down.
pub fn are_shut_down<'a>(listeners: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<bool> {
    which(listeners, hangs_up())
}

fn hangs_up() -> PollFlags {
    PollFlags::from_bits_retain(libc::POLLRDHUP | libc::POLLHUP)
}

/// Says to which of these descriptors this has happened, by one call for all (poll(2)).
fn which<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>, events: PollFlags) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, events)).collect();
    let happened = poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    let any = |fd: &PollFd<'_>| happened && fd.any() != Some(false);
    polled.iter().map(any).collect()
}

/// Reads what waits, without taking it (MSG_PEEK, recv(2)).
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    Ok(recv(fd.as_raw_fd(), buffer, flags)?)
}

/// Returns how many bytes of a TCP connection the other end has acknowledged (tcpi_bytes_acked of `struct tcp_info`,
/// linux/tcp.h; tcp(7)); none where the kernel does not say.
pub fn acknowledged(fd: BorrowedFd<'_>) -> Option<u64> {
    /// The field stands here, in eights of bytes.
    const ACKNOWLEDGED: usize = 15;
    let mut info = [0_u64; ACKNOWLEDGED + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the kernel writes no more than `length` bytes, which is how many `info` has, and any bytes make numbers.
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let whole = status == 0 && length as usize == size_of_val(&info);
    whole.then_some(info[ACKNOWLEDGED])
}
