//! This file says which files may be opened, and who may be connected to or signalled (landlock(7)). What a kernel is
//! too old for is left out.

use super::{Role, Sandbox};
use crate::sys::watch::directory_of;
use anyhow::Result;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};
use std::path::PathBuf;

/// This is the newest version of landlock that is asked for (Linux 7.1): who may be connected to by a path.
const NEWEST: ABI = ABI::V9;

/// These directories say how names are looked up (nsswitch.conf(5), resolv.conf(5)): directories, since others replace
/// the files.
const RESOLVER: [&str; 4] = [
    "/etc",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
];

/// Names are looked up over TCP where an answer is long.
const NAME_SERVERS: u16 = 53;

/// A process may read its own memory, and how much memory and how many processors there are for it.
const OF_THE_MACHINE: [&str; 4] = [
    "/proc/self",
    "/proc/meminfo",
    "/proc/swaps",
    "/sys/fs/cgroup",
];

/// Systems keep their certificate authorities here, and what their links lead to.
const AUTHORITIES: [&str; 3] = ["/usr", "/var/ssl", "/nix/store"];
const NAMED_AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Restricts this thread to the files of its role, and says whether the kernel enforces any of it.
pub fn restrict(sandbox: &Sandbox, role: Role) -> Result<bool> {
    let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let write = make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
    });
    let grants = &sandbox.grants;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp)?;
    if !grants.connects || grants.port.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let ports = grants
        .port
        .into_iter()
        .flat_map(|port| [port, NAME_SERVERS]);
    let ports = ports.map(|port| NetPort::new(port, AccessNet::ConnectTcp));
    // A guest may have its own end of a connection bound before it connects, by the system's choice.
    let own_end = grants.connects.then(|| NetPort::new(0, AccessNet::BindTcp));
    // Whoever listens there may make the socket anew.
    let status = ruleset
        .create()?
        .add_rules(own_end.map(Ok::<_, landlock::RulesetError>))?
        .add_rules(ports.map(Ok::<_, landlock::RulesetError>))?
        .add_rules(path_beneath_rules(readable(sandbox, role), read))?
        .add_rules(path_beneath_rules(&grants.writable, read | write))?
        .add_rules(path_beneath_rules(
            grants.unix_sockets.iter().map(|path| directory_of(path)),
            AccessFs::ResolveUnix,
        ))?
        .add_rules(path_beneath_rules(&grants.mounts, AccessFs::ResolveUnix))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn readable(sandbox: &Sandbox, role: Role) -> Vec<PathBuf> {
    let grants = &sandbox.grants;
    let mut readable = grants.readable.clone();
    if grants.connects {
        readable.extend(RESOLVER.map(PathBuf::from));
    }
    match role {
        Role::Admin | Role::Log => return Vec::new(),
        Role::Worker | Role::Exporter | Role::Registry => return readable,
        // It has its code already.
        Role::Step => {}
        // Its own memory and descriptors, and those of the workers to be.
        Role::Zygote => readable.extend(["/proc", "/sys/fs/cgroup"].map(PathBuf::from)),
        Role::Compiler => {
            readable.extend(OF_THE_MACHINE.map(PathBuf::from));
            readable.extend(sandbox.sources.iter().cloned());
            readable.extend(sandbox.cache.clone());
        }
    }
    // Guests may begin here: they are given what they need then.
    if grants.connects {
        readable.extend(AUTHORITIES.map(PathBuf::from));
        let named = NAMED_AUTHORITIES.iter().filter_map(std::env::var_os);
        readable.extend(named.map(PathBuf::from));
    }
    readable
}
