//! These attempts ask the kernel for rights, and for what a process is to others.

use super::{Before, absent, denied};
use crate::sandbox::{Role, Sandbox};
use crate::sys::raw::call;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;

/// Calls by which others broke out of sandboxes, and those that only a zygote or a compiler needs.
const ABSENT: [i64; 49] = [
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_capset,
    libc::SYS_chroot,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fanotify_init,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_inotify_init1,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_listen,
    libc::SYS_memfd_create,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_msgget,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_seccomp,
    libc::SYS_semget,
    libc::SYS_sendfile,
    libc::SYS_setgroups,
    libc::SYS_setns,
    libc::SYS_setpriority,
    libc::SYS_setresuid,
    libc::SYS_setsid,
    libc::SYS_setuid,
    libc::SYS_setxattr,
    libc::SYS_shmget,
    libc::SYS_socketpair,
    libc::SYS_splice,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_wait4,
];

pub fn calls(_: &Sandbox, _: Role, _: &Before) {
    for number in ABSENT {
        absent(number, &[], &format!("system call {number}"));
    }
    for option in [
        libc::PR_SET_DUMPABLE,
        libc::PR_SET_PTRACER,
        libc::PR_SET_MM,
        libc::PR_SET_SECCOMP,
        libc::PR_CAP_AMBIENT,
    ] {
        absent(libc::SYS_prctl, &[option as usize], "prctl");
    }
    let parent = nix::unistd::getppid().as_raw() as usize;
    absent(libc::SYS_prlimit64, &[parent], "another's limits");
}

pub fn has(sandbox: &Sandbox, role: Role, before: &Before) {
    gains(sandbox, role, before);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(before.outside.status(set), "0".repeat(16), "{set}");
    }
    // A limit of its own is lowered for good.
    let limit = Resource::RLIMIT_NOFILE;
    let (_, hard) = getrlimit(limit).unwrap();
    setrlimit(limit, hard - 1, hard - 1).unwrap();
    assert!(setrlimit(limit, hard, hard).is_err());
}

pub fn gains(sandbox: &Sandbox, _: Role, before: &Before) {
    let status = |name| before.outside.status(name);
    assert_eq!((&*status("NoNewPrivs:"), &*status("Seccomp:")), ("1", "2"));
    if nix::unistd::geteuid().is_root() || sandbox.run_as.is_some() {
        assert_eq!(status("CapBnd:"), "0".repeat(16));
    }
    // Nothing but reading what lies with others (CAP_DAC_READ_SEARCH).
    let effective = u64::from_str_radix(&status("CapEff:"), 16).unwrap();
    assert_eq!(effective & !(1 << 2), 0, "{effective:x}");
    let Some(run_as) = &sandbox.run_as else {
        return;
    };
    let numbers = |name| -> Vec<u32> {
        let numbers = status(name);
        let numbers = numbers.split_whitespace();
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    assert_eq!(numbers("Uid:"), [run_as.uid(); 4]);
    assert_eq!(numbers("Gid:"), [run_as.gid(); 4]);
    assert!(numbers("Groups:").contains(&run_as.gid()));
    assert!(!numbers("Groups:").contains(&0));
    assert!(call(libc::SYS_setresuid, &[0, 0, 0]).is_err());
}

pub fn shows_memory(_: &Sandbox, _: Role, before: &Before) {
    let dumpable = || nix::sys::prctl::get_dumpable().unwrap().to_string();
    assert_eq!(before.outside.does(dumpable), "false");
    assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
}

pub fn has_terminal(_: &Sandbox, _: Role, before: &Before) {
    let session = || nix::unistd::getsid(None).unwrap().to_string();
    let session = before.outside.does(session);
    assert_eq!(session, std::process::id().to_string());
    denied(File::open("/dev/null"), "a device");
}
