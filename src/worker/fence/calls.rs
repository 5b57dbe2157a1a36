//! System calls that may be made (seccomp(2)). The others do not exist, which is what libraries are prepared for.

use super::Fence;
use anyhow::Result;
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, CLONE_THREAD, MAP_ANONYMOUS, NETLINK_ROUTE, PROT_EXEC,
};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{self, Eq, MaskedEq};
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter,
};
use std::collections::BTreeMap;

/// What everything needs that runs.
const RUNNING: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_uname,
];

/// Sockets that are there, pipes and events.
const TALKING: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socketpair,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Files and directories, of which landlock says which.
const FILES: &[i64] = &[
    libc::SYS_copy_file_range,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_readlinkat,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync_file_range,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
];

/// The same by their older names.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[i64] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLDER: &[i64] = &[];

/// What it takes to reach others.
const CONNECTING: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
];

/// What may be asked of what is open. The last is PAGEMAP_SCAN (linux/fs.h), by which instances are put back.
const ASKED: [u64; 5] = [
    libc::FIONBIO as _,
    libc::FIONREAD as _,
    libc::FIOCLEX as _,
    libc::TCGETS as _,
    0xc060_6610,
];

/// What may be asked of the process: how its threads are called.
const NAMES: [u64; 2] = [libc::PR_SET_NAME as _, libc::PR_GET_NAME as _];

/// Whether the kernel can enforce it.
pub fn restrict(fence: &Fence) -> Result<bool> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(false);
    };
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let filter = SeccompFilter::new(allowed(fence)?, unknown, SeccompAction::Allow, machine)?;
    match apply_filter(&BpfProgram::try_from(filter)?) {
        Ok(()) => Ok(true),
        Err(Error::Prctl(_) | Error::Seccomp(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Those that may be made, each with what may be asked with it where that is not everything.
fn allowed(fence: &Fence) -> Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let connecting = CONNECTING.iter().filter(|_| fence.connects);
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = [RUNNING, TALKING, FILES, OLDER]
        .into_iter()
        .flatten()
        .chain(connecting)
        .map(|call| (*call, Vec::new()))
        .collect();
    let mut only = |call: i64, cases: Vec<Vec<Condition>>| {
        let rules = cases.into_iter().map(rule);
        allowed.insert(call, rules.collect::<Result<_>>()?);
        anyhow::Ok(())
    };
    // Threads, no processes.
    let thread = CLONE_THREAD as u64;
    only(libc::SYS_clone, vec![vec![(0, MaskedEq(thread), thread)]])?;
    // No memory becomes code.
    let is_no_code = vec![(2, MaskedEq(PROT_EXEC as u64), 0)];
    let mut mapped = vec![is_no_code.clone()];
    if fence.connects {
        // But what is read from a file: the resolver has modules.
        mapped.push(vec![(3, MaskedEq(MAP_ANONYMOUS as u64), 0)]);
    }
    only(libc::SYS_mmap, mapped)?;
    only(libc::SYS_mprotect, vec![is_no_code])?;
    only(libc::SYS_ioctl, one_of(1, &ASKED))?;
    only(libc::SYS_prctl, one_of(0, &NAMES))?;
    // Its own limits.
    only(libc::SYS_prlimit64, one_of(0, &[0]))?;
    if fence.connects {
        let mut families = one_of(0, &[AF_UNIX, AF_INET, AF_INET6].map(|family| family as u64));
        // How the resolver learns which addresses the machine has.
        families.push(vec![
            (0, Eq, AF_NETLINK as u64),
            (2, Eq, NETLINK_ROUTE as u64),
        ]);
        only(libc::SYS_socket, families)?;
    }
    Ok(allowed)
}

/// An argument by its number, and what it must be.
type Condition = (u8, SeccompCmpOp, u64);

/// Cases in which an argument is one of these.
fn one_of(argument: u8, values: &[u64]) -> Vec<Vec<Condition>> {
    let case = |value: &u64| vec![(argument, Eq, *value)];
    values.iter().map(case).collect()
}

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule> {
    let conditions = conditions.into_iter().map(|(argument, operation, value)| {
        SeccompCondition::new(argument, Dword, operation, value)
    });
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}
