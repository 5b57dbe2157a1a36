//! Files that may be opened, and whom may be connected to or signalled (landlock(7)). What a kernel is too old for is
//! left out.

use super::Fence;
use anyhow::Result;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};

/// The newest that is asked for (Linux 6.15).
const NEWEST: ABI = ABI::V7;

/// What the C library looks names up with (nsswitch.conf(5), resolv.conf(5)): files that others replace, and modules.
const RESOLVER: [&str; 8] = [
    "/etc",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];

/// Whether the kernel enforces any of it.
pub fn restrict(fence: &Fence) -> Result<bool> {
    let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let write = make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
    });
    let resolver = RESOLVER.iter().filter(|_| fence.connects);
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if !fence.connects {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(resolver, read))?
        .add_rules(path_beneath_rules(&fence.readable, read))?
        .add_rules(path_beneath_rules(&fence.writable, read | write))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
