//! Guests leave some descriptors of their worker to its clients: without one nobody connects any more. The kernel gives
//! the lowest number that is free (open(2)), so a high one says that few are left.

use super::about_guests;
use nix::errno::Errno;
use nix::sys::resource::{Resource as Limit, getrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::filesystem::Descriptor;

/// So many are left to clients, and no more than one part in eight of all.
const KEPT: u64 = 64;
const PART: u64 = 8;

/// Guests may have descriptors below this number.
static LIMIT: LazyLock<RawFd> = LazyLock::new(|| {
    let all = getrlimit(Limit::RLIMIT_NOFILE).map_or(u64::MAX, |(limit, _)| limit);
    RawFd::try_from(all - KEPT.min(all / PART)).unwrap_or(RawFd::MAX)
});

/// Says whether a guest may have a socket.
pub fn may_have_socket() -> bool {
    // The engine says what number its sockets have to nobody: one of ours has the same.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let may = match socket(AddressFamily::Inet, SockType::Stream, flags, None) {
        Ok(made) => made.as_raw_fd() < *LIMIT,
        Err(error) => error != Errno::EMFILE,
    };
    if !may {
        deny("socket");
    }
    may
}

/// Says whether a guest may keep what it has opened, and closes it where it may not.
pub fn may_keep(
    table: &mut ResourceTable,
    opened: &Resource<Descriptor>,
) -> Result<bool, ResourceTableError> {
    let number = match table.get(opened)? {
        Descriptor::File(file) => file.file.as_raw_fd(),
        Descriptor::Dir(directory) => directory.dir.as_raw_fd(),
    };
    if number < *LIMIT {
        return Ok(true);
    }
    table.delete(Resource::<Descriptor>::new_own(opened.rep()))?;
    deny("file");
    Ok(false)
}

fn deny(what: &str) {
    about_guests::tell!(
        "denied the guest a {what}: few descriptors are left to its worker; raise the limit with `ulimit -n`"
    );
}
