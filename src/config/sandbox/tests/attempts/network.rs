//! Listeners, which all workers share, and peers.

use super::{Before, absent, raw};
use crate::sandbox::{Role, Sandbox};
use crate::sys::raw::call;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

pub fn changes_listeners(sandbox: &Sandbox, _: Role, before: &Before) {
    assert!(before.listener.set_nonblocking(true).is_err());
    for listener in [raw(&before.listener), raw(&before.unix_listener), 2] {
        for how in [libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR] {
            absent(libc::SYS_shutdown, &[listener, how as usize], "shutdown");
        }
        for command in [
            libc::F_SETFL,
            libc::F_DUPFD,
            libc::F_DUPFD_CLOEXEC,
            libc::F_SETOWN,
        ] {
            absent(libc::SYS_fcntl, &[listener, command as usize], "fcntl");
        }
        absent(
            libc::SYS_ioctl,
            &[listener, libc::FIONBIO as usize],
            "FIONBIO",
        );
        for (level, option) in [
            (libc::SOL_SOCKET, libc::SO_LINGER),
            (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
            (libc::IPPROTO_TCP, libc::TCP_NODELAY),
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
        ] {
            let arguments = [listener, level as usize, option as usize];
            absent(libc::SYS_setsockopt, &arguments, "setsockopt");
        }
        for (number, what) in [
            (libc::SYS_connect, "connect"),
            (libc::SYS_bind, "bind"),
            (libc::SYS_listen, "listen"),
            (libc::SYS_dup, "dup"),
            (libc::SYS_dup3, "dup3"),
            (libc::SYS_sendmsg, "sendmsg"),
            (libc::SYS_sendmmsg, "sendmmsg"),
            (libc::SYS_recvmsg, "recvmsg"),
        ] {
            absent(number, &[listener], what);
        }
        let fast = [listener, 0, 0, libc::MSG_FASTOPEN as usize, listener, 16];
        absent(libc::SYS_sendto, &fast, "MSG_FASTOPEN");
    }
    serves(sandbox, before);
}

/// Guards against a worker that hands the listening socket to an accomplice: its client on a Unix socket.
pub fn passes_nothing_on(sandbox: &Sandbox, role: Role, before: &Before) {
    let path = before.unix_listener.local_addr().unwrap();
    let path = path.as_pathname().unwrap().to_owned();
    let connected = before.outside.does(move || {
        std::mem::forget(UnixStream::connect(path).unwrap());
        "connected".to_owned()
    });
    assert_eq!(connected, "connected");
    let (client, _) = before.unix_listener.accept().unwrap();
    absent(libc::SYS_sendmsg, &[raw(&client)], "sendmsg");
    absent(libc::SYS_sendmmsg, &[raw(&client)], "sendmmsg");
    absent(libc::SYS_dup, &[raw(&client)], "dup");
    if sandbox.grants.connects && role == Role::Worker {
        let options = std::env::var("RES_OPTIONS").unwrap();
        assert!(options.ends_with("single-request"), "{options}");
    }
}

/// Clients are still accepted, and their connections are the worker's to change.
fn serves(sandbox: &Sandbox, before: &Before) {
    let address = before.address;
    let connected = before.outside.does(move || {
        std::mem::forget(TcpStream::connect(address).unwrap());
        "connected".to_owned()
    });
    assert_eq!(connected, "connected");
    let (mut client, _) = before.listener.accept().unwrap();
    client.set_nonblocking(true).unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(b"answer").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let both = client.shutdown(Shutdown::Both);
    assert_eq!(both.is_ok(), sandbox.grants.connects, "{both:?}");
}

pub fn connects(sandbox: &Sandbox, role: Role, before: &Before) {
    let granted = sandbox.grants.connects;
    let reaches = granted && sandbox.grants.port.is_none();
    assert_eq!(TcpStream::connect(before.address).is_ok(), reaches);
    let datagram = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let sent = datagram.and_then(|socket| socket.send_to(b"x", before.address));
    assert_eq!(sent.is_ok(), granted);
    assert!(TcpListener::bind("127.0.0.1:0").is_err());
    // No role passes descriptors on: nobody above takes any, and siblings are no business of theirs.
    absent(libc::SYS_sendmsg, &[], "sendmsg");
    let address = before.unix_listener.local_addr().unwrap();
    assert!(UnixStream::connect(address.as_pathname().unwrap()).is_err());
    for (family, kind) in [
        (libc::AF_UNIX, libc::SOCK_DGRAM),
        (libc::AF_UNIX, libc::SOCK_STREAM),
        (libc::AF_INET, libc::SOCK_RAW),
        (libc::AF_PACKET, libc::SOCK_RAW),
        (libc::AF_VSOCK, libc::SOCK_STREAM),
        (libc::AF_ALG, libc::SOCK_SEQPACKET),
        (libc::AF_NETLINK, libc::SOCK_RAW),
    ] {
        // The last number is no protocol of these, nor routing.
        let arguments = [family as usize, kind as usize, 1];
        absent(libc::SYS_socket, &arguments, &format!("socket {family}"));
    }
    // Landlock's rules about TCP do not reach other protocols of connections, and nobody needs those of datagrams.
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (kind, protocol) in [
            (libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
            (libc::SOCK_STREAM, libc::IPPROTO_SCTP),
            (libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
            (libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
            (libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6),
        ] {
            let arguments = [family as usize, kind as usize, protocol as usize];
            absent(
                libc::SYS_socket,
                &arguments,
                &format!("protocol {protocol}"),
            );
        }
    }
    // What is sent by path needs no connection.
    let mut ends = [0_i32; 2];
    let ends = ends.as_mut_ptr().expose_provenance();
    let pair = |kind: i32| {
        let arguments = [libc::AF_UNIX as usize, kind as usize, 0, ends];
        call(libc::SYS_socketpair, &arguments)
    };
    assert_eq!(pair(libc::SOCK_DGRAM), Err(libc::ENOSYS));
    let pairs = !matches!(
        role,
        Role::Worker | Role::Admin | Role::Log | Role::Exporter | Role::Registry
    );
    assert_eq!(pair(libc::SOCK_STREAM).is_ok(), pairs);
    // Of what connects while it sends, landlock asks nobody.
    for flags in [libc::MSG_FASTOPEN, libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL] {
        let fast = [3, 0, 0, flags as usize, ends, 16];
        absent(libc::SYS_sendto, &fast, "sendto with MSG_FASTOPEN");
        absent(libc::SYS_sendmmsg, &fast, "sendmmsg with MSG_FASTOPEN");
    }
    if !granted {
        absent(
            libc::SYS_sendto,
            &[3, 0, 0, 0, ends, 16],
            "what names a peer",
        );
        absent(libc::SYS_sendmmsg, &[3], "sendmmsg");
    }
}
