//! This room says which system calls may be made, and with which arguments (seccomp(2)). The others do not exist,
//! which is what libraries are prepared for.

mod lists;
mod rules;

use super::{Grants, Role};
use crate::log;
use crate::sys::socket::OpenSocket;
use anyhow::Result;
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL, IPPROTO_TCP,
    IPPROTO_UDP, MSG_FASTOPEN, NETLINK_ROUTE, PROT_EXEC, SHUT_WR, SOCK_DGRAM, SOCK_STREAM,
};
use rules::{Cases, SeccompRules};
use seccompiler::{BpfProgram, Error, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::os::fd::RawFd;

/// Standard input, output and error have these numbers.
const STREAMS: std::ops::RangeInclusive<RawFd> = 0..=2;

/// Restricts this thread to the calls of its role, and says whether the kernel can enforce it.
pub fn restrict(grants: &Grants, role: Role, sockets: &[OpenSocket]) -> Result<bool> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(false);
    };
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let allowed = allowed(grants, role, &Shared::of(role, sockets))?;
    let filter = SeccompFilter::new(allowed, unknown, SeccompAction::Allow, machine)?;
    match apply_filter(&BpfProgram::try_from(filter)?) {
        Ok(()) => Ok(true),
        Err(Error::Prctl(_) | Error::Seccomp(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `Shared` has descriptors whose other users a process could harm, by their numbers, which they keep: they cannot be
/// duplicated.
#[derive(Default)]
struct Shared {
    /// Sockets that listen, and the standard streams, have these numbers: whoever changes them changes them for all.
    fixed: Vec<RawFd>,
    /// These and Unix sockets could pass descriptors on.
    passing: Vec<RawFd>,
    /// What is accepted may be a Unix socket too, of which nobody knows the number yet.
    accepts_unix: bool,
}

impl Shared {
    /// Finds what the role shares. In a zygote the numbers are not yet those of the workers, which have filters of
    /// their own.
    fn of(role: Role, sockets: &[OpenSocket]) -> Shared {
        if role == Role::Zygote {
            return Shared::default();
        }
        let numbers = |which: fn(&OpenSocket) -> bool| {
            let sockets = sockets.iter().filter(|socket| which(socket));
            let sockets = sockets.map(|socket| socket.number);
            STREAMS.chain(sockets).collect()
        };
        Shared {
            fixed: numbers(|socket| socket.listens),
            passing: numbers(|socket| socket.listens || socket.is_unix),
            accepts_unix: sockets.iter().any(OpenSocket::accepts_unix),
        }
    }
}

fn allowed(grants: &Grants, role: Role, shared: &Shared) -> Result<rules::Allowed> {
    let mut rules = SeccompRules::default();
    for list in [lists::RUNNING, lists::SERVING, lists::OLDER] {
        rules.allow(list);
    }
    if !matches!(role, Role::Admin | Role::Log) {
        rules.allow(lists::FILES);
        keep_log(&mut rules)?;
        modes(&mut rules, grants)?;
    }
    processes(&mut rules, role)?;
    memory(&mut rules, role)?;
    descriptors(&mut rules, grants, shared)?;
    match role {
        Role::Worker | Role::Admin | Role::Exporter | Role::Registry => {}
        Role::Step | Role::Compiler => rules.allow(lists::BEGINNING),
        Role::Log => rules.allow(lists::WRITING_LOGS),
        Role::Zygote => {
            rules.allow(lists::BEGINNING);
            rules.allow(lists::FORKING);
        }
    }
    if !matches!(
        role,
        Role::Worker | Role::Admin | Role::Log | Role::Exporter | Role::Registry
    ) {
        // The loop's own pair, for signals. Datagrams could be sent to others by their paths.
        let stream = [Cases::masked(1, KIND, SOCK_STREAM as u64)];
        rules.only(libc::SYS_socketpair, Cases::all(&stream))?;
    }
    if role != Role::Log && (grants.connects || grants.connects_unix()) {
        connections(&mut rules, grants, shared)?;
    }
    Ok(rules.allowed)
}

/// Allows threads, and processes where they are forked; nobody else is signalled.
fn processes(rules: &mut SeccompRules, role: Role) -> Result<()> {
    let threads = Cases::one_of(0, &lists::OF_A_THREAD);
    let names = Cases::one_of(0, &lists::NAMES);
    // Its own limits.
    rules.only(libc::SYS_prlimit64, Cases::one_of(0, &[0]))?;
    if role == Role::Zygote {
        let forks = Cases::one_of(0, &lists::OF_A_FORK);
        rules.only(libc::SYS_clone, threads.or(forks))?;
        let giving_up = Cases::one_of(0, &lists::GIVING_UP);
        rules.only(libc::SYS_prctl, names.or(giving_up))?;
        // Whoever is forked aborts by its own number, which is not known yet.
        let abort = Cases::one_of(2, &[libc::SIGABRT as u64]);
        return rules.only(libc::SYS_tgkill, abort);
    }
    rules.only(libc::SYS_clone, threads)?;
    rules.only(libc::SYS_prctl, names)?;
    let own = u64::from(std::process::id());
    rules.only(libc::SYS_tgkill, Cases::one_of(0, &[own]))
}

/// Allows memory, which becomes no code but where code is made.
fn memory(rules: &mut SeccompRules, role: Role) -> Result<()> {
    if role == Role::Compiler {
        rules.allow(&[libc::SYS_mmap, libc::SYS_mprotect]);
        return Ok(());
    }
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let no_code = [Cases::masked(2, PROT_EXEC as u64, 0)];
        rules.only(call, Cases::all(&no_code))?;
    }
    Ok(())
}

fn log_numbers() -> Vec<RawFd> {
    STREAMS.chain(log::descriptors()).collect()
}

/// The log is written at its end, and neither cut nor written over.
fn keep_log(rules: &mut SeccompRules) -> Result<()> {
    let log = log_numbers();
    for call in lists::CHANGING {
        rules.only(call, Cases::outside(0, &log))?;
    }
    rules.only(libc::SYS_copy_file_range, Cases::outside(2, &log))
}

/// Allows files to be made, but none that lends rights. What landlock does not look at, modes, owners and times, is
/// changed only where guests write files: of what is open, and so by no path; modes and owners by SQLite alone, which
/// gives its journals those of its database.
fn modes(rules: &mut SeccompRules, grants: &Grants) -> Result<()> {
    let ordinary = |argument| Cases::all(&[Cases::masked(argument, lists::LENDING, 0)]);
    for (call, mode) in lists::MAKING {
        rules.only(*call, ordinary(*mode))?;
    }
    if !grants.writable.is_empty() {
        rules.only(libc::SYS_utimensat, Cases::all(&[Cases::null(1)]))?;
    }
    if grants.database {
        let others = || Cases::outside(0, &log_numbers());
        rules.only(libc::SYS_fchmod, ordinary(1).and(others()))?;
        rules.only(libc::SYS_fchown, others())?;
    }
    Ok(())
}

/// Allows what is open to be used, and to be changed where nobody shares it.
fn descriptors(rules: &mut SeccompRules, grants: &Grants, shared: &Shared) -> Result<()> {
    let own = || Cases::outside(0, &shared.fixed);
    let commands = Cases::one_of(1, &lists::COMMANDS)
        .or(Cases::one_of(1, &[F_SETFL as u64]).and(own()))
        .or(Cases::one_of(1, &[F_DUPFD as u64, F_DUPFD_CLOEXEC as u64])
            .and(Cases::outside(0, &shared.passing)));
    rules.only(libc::SYS_fcntl, commands)?;
    let asked = Cases::one_of(1, &lists::ASKED);
    let blocking = Cases::one_of(1, &[libc::FIONBIO as _]).and(own());
    rules.only(libc::SYS_ioctl, asked.or(blocking))?;
    // One's own direction of a connection; the other too where connections are made. A listener would be closed
    // for all, and is not closed by the end of what it does not send.
    let mut ends = Cases::one_of(1, &[SHUT_WR as u64]);
    let mut options = Cases::pairs((1, 2), &lists::OF_CONNECTIONS);
    if grants.connects {
        ends = Cases::default();
        options = options.or(Cases::pairs((1, 2), &lists::OF_SOCKETS));
    }
    rules.only(libc::SYS_shutdown, ends.and(own()))?;
    rules.only(libc::SYS_setsockopt, options.and(own()))?;
    rules.only(libc::SYS_sendto, unnamed())
}

/// Demands that what is sent (sendto(2)) names nobody, and connects to nobody.
fn unnamed() -> Cases {
    Cases::all(&[Cases::null(4), SLOWLY])
}

/// Demands that sending (sendto(2), sendmmsg(2)) does not connect as well: of that landlock asks nobody.
const SLOWLY: rules::ArgumentCondition = Cases::masked(3, MSG_FASTOPEN as u64, 0);

/// These bits of a socket's type are not its flags (socket(2)).
const KIND: u64 = 0xf;

/// Others are reached by these protocols, each with the type of its sockets.
const PROTOCOLS: [(i32, i32); 2] = [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)];

/// Allows what it takes to reach others. Unix sockets could lead to whoever runs this machine.
fn connections(rules: &mut SeccompRules, grants: &Grants, shared: &Shared) -> Result<()> {
    let own = || Cases::outside(0, &shared.fixed);
    // Landlock's rules about TCP do not reach protocols that are made of it, such as MPTCP.
    let of_kind = |family: i32, (kind, protocol): (i32, i32)| {
        let family = Cases::one_of(0, &[family as u64]);
        let kind = Cases::all(&[Cases::masked(1, KIND, kind as u64)]);
        family
            .and(kind)
            .and(Cases::one_of(2, &[0, protocol as u64]))
    };
    let mut sockets = Vec::new();
    if grants.connects_unix() {
        sockets.push(of_kind(AF_UNIX, (SOCK_STREAM, 0)));
    }
    rules.only(libc::SYS_connect, own())?;
    if grants.connects {
        for family in [AF_INET, AF_INET6] {
            sockets.extend(PROTOCOLS.map(|kind| of_kind(family, kind)));
        }
        // How the resolver learns which addresses the machine has, and how its answers are read.
        let route = Cases::one_of(2, &[NETLINK_ROUTE as u64]);
        sockets.push(Cases::one_of(0, &[AF_NETLINK as u64]).and(route));
        let not_passing = || Cases::outside(0, &shared.passing);
        rules.only(libc::SYS_recvmsg, not_passing())?;
        // The resolver asks for both kinds of addresses at once, unless it was told not to: then nobody passes a
        // descriptor on to a client.
        let known = || not_passing().and(Cases::all(&[SLOWLY]));
        if !shared.accepts_unix {
            rules.only(libc::SYS_sendmmsg, known())?;
        }
        rules.only(libc::SYS_sendto, unnamed().or(known()))?;
        rules.only(libc::SYS_bind, own())?;
    }
    let sockets = sockets.into_iter().reduce(Cases::or).unwrap_or_default();
    rules.only(libc::SYS_socket, sockets)
}
