//! This file gives up rights of this process, for good, and has the kernel keep it to the rest.

use nix::sys::resource::{Resource, setrlimit};
use std::ffi::CStr;
use std::io;

/// Reads and searches what permissions would not let it (capabilities(7)).
pub const CAP_DAC_READ_SEARCH: u32 = 2;

/// The kernel knows fewer, and says so (PR_CAPBSET_DROP(2const)).
const CAPABILITIES: u32 = 64;

/// This is `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h.
const VERSION: u32 = 0x2008_0522;

/// This is `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; there are two, for 32 capabilities each.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Returns the user that this process acts as.
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Gives up for good what an exec could give back, as far as this process may (PR_CAPBSET_DROP(2const),
/// PR_CAP_AMBIENT(2const)).
pub fn drop_regainable_capabilities() {
    for capability in 0..CAPABILITIES {
        // SAFETY: it takes numbers. What the kernel does not know is no capability.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: the same. A kernel that does not know it has no ambient set.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
}

/// Gives up every capability but these, of which it keeps what it has, in all sets (capabilities(7)).
pub fn drop_capabilities(kept: &[u32]) -> io::Result<()> {
    drop_regainable_capabilities();
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let mut sets = [Sets::default(); 2];
    // SAFETY: both are as the kernel wants them in this version, and outlive the call.
    done(unsafe { libc::syscall(libc::SYS_capget, &mut header, sets.as_mut_ptr()) })?;
    for (index, set) in sets.iter_mut().enumerate() {
        let of_set = kept.iter().filter(|kept| **kept as usize / 32 == index);
        let mask = of_set.fold(0, |mask, kept| mask | 1 << (kept % 32));
        *set = Sets {
            effective: set.permitted & mask,
            permitted: set.permitted & mask,
            inheritable: 0,
        };
    }
    // SAFETY: the same.
    done(unsafe { libc::syscall(libc::SYS_capset, &header, sets.as_ptr()) })
}

fn done(result: i64) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Leaves no core file, in which keys would be (setrlimit(2)).
pub fn leave_no_core_file() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

/// Decides whether other processes of this user may look into this one, and what `/proc/self` shows of it may be
/// opened (PR_SET_DUMPABLE(2const)).
pub fn set_dumpable(dumpable: bool) {
    let _ = nix::sys::prctl::set_dumpable(dumpable);
}

/// Leaves the terminal behind (setsid(2)). Nothing happens where it has been left.
pub fn leave_session() {
    let _ = nix::unistd::setsid();
}

/// Asks which version of landlock this kernel has; none where it has it not, or not switched on (landlock(7)).
pub fn landlock_version() -> Option<u32> {
    let (attributes, size, ask_version) = (std::ptr::null::<u8>(), 0_usize, 1_u32);
    // SAFETY: with this flag it reads nothing.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            attributes,
            size,
            ask_version,
        )
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Says whether this kernel filters system calls (PR_GET_SECCOMP(2const)).
pub fn has_seccomp() -> bool {
    // SAFETY: it takes nothing.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP) >= 0 }
}

/// Loads a library for as long as this process lives, and says whether there is one.
pub fn load_library(name: &CStr) -> bool {
    // SAFETY: those that are named are part of the system's C library, or of how it looks names up: it would load
    // them into this process itself.
    let loaded = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    !loaded.is_null()
}

/// Sets a variable of this process's environment. It is for a process that begins: no other thread of it may read the
/// environment yet.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: as this function demands.
    unsafe { std::env::set_var(name, value) };
}
