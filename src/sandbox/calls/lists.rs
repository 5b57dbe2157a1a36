//! System calls, in groups by who needs them and for what. What is not in a list does not exist.

use libc::{
    IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPV6_RECVERR, IPV6_V6ONLY, SO_KEEPALIVE,
    SO_LINGER, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE,
    TCP_KEEPINTVL, TCP_NODELAY, TCP_USER_TIMEOUT,
};

/// The C library, Rust's and the allocator, in every thread: memory, time, threads, their own signals and identity.
pub const RUNNING: &[i64] = &[
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
    libc::SYS_uname,
];

/// The serving loop (tokio, rustls, hyper) and the log: connections that are accepted, and what else is open. What
/// names a peer, passes descriptors on or changes a socket for others is looked at in the parent module.
pub const SERVING: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_write,
    libc::SYS_writev,
];

/// A loop that is made behind the wall: where a guest is run once, and where workers are forked.
pub const BEGINNING: &[i64] = &[libc::SYS_epoll_create1, libc::SYS_eventfd2, libc::SYS_pipe2];

/// Files of guests (cap-std), static files, SQLite, the system's resolver. Landlock says which files.
pub const FILES: &[i64] = &[
    libc::SYS_copy_file_range,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fdatasync,
    libc::SYS_flock,
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

/// The same by their older names, which the C library still uses.
#[cfg(target_arch = "x86_64")]
pub const OLDER: &[i64] = &[
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
pub const OLDER: &[i64] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const OLDER: &[i64] = &[];

/// The compiler: code that cannot be kept in the cache is kept in memory, and sent to the supervisor.
pub const COMPILING: &[i64] = &[libc::SYS_memfd_create, libc::SYS_sendmsg];

/// The zygote, and the workers that it forks until they have entered a sandbox of their own: forking and waiting,
/// orders of the supervisor, and what setting a sandbox up takes.
pub const FORKING: &[i64] = &[
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_recvmsg,
    libc::SYS_seccomp,
    libc::SYS_sendmsg,
    libc::SYS_setsid,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// What may be asked of what is open, FIONBIO aside, which is not asked of what others share. The last is
/// PAGEMAP_SCAN (linux/fs.h), by which instances are put back.
pub const ASKED: [u64; 4] = [
    libc::FIONREAD as _,
    libc::FIOCLEX as _,
    libc::TCGETS as _,
    0xc060_6610,
];

/// Commands of fcntl(2) on anything: flags are read, and files are locked (SQLite; locks of guests).
pub const COMMANDS: [u64; 9] = [
    libc::F_GETFD as _,
    libc::F_SETFD as _,
    libc::F_GETFL as _,
    libc::F_GETLK as _,
    libc::F_SETLK as _,
    libc::F_SETLKW as _,
    libc::F_OFD_GETLK as _,
    libc::F_OFD_SETLK as _,
    libc::F_OFD_SETLKW as _,
];

/// How a thread is called.
pub const NAMES: [u64; 2] = [libc::PR_SET_NAME as _, libc::PR_GET_NAME as _];

/// What setting a sandbox up asks of the process.
pub const GIVING_UP: [u64; 7] = [
    libc::PR_CAPBSET_DROP as _,
    libc::PR_CAP_AMBIENT as _,
    libc::PR_GET_SECCOMP as _,
    libc::PR_SET_DUMPABLE as _,
    libc::PR_SET_NO_NEW_PRIVS as _,
    libc::PR_SET_PDEATHSIG as _,
    libc::PR_SET_SECCOMP as _,
];

/// Options that are set on accepted connections: what is written leaves at once, the end can be a reset, and the
/// kernel finds out who is gone.
pub const OF_CONNECTIONS: [(i32, i32); 7] = [
    (SOL_SOCKET, SO_LINGER),
    (SOL_SOCKET, SO_KEEPALIVE),
    (IPPROTO_TCP, TCP_NODELAY),
    (IPPROTO_TCP, TCP_KEEPIDLE),
    (IPPROTO_TCP, TCP_KEEPINTVL),
    (IPPROTO_TCP, TCP_KEEPCNT),
    (IPPROTO_TCP, TCP_USER_TIMEOUT),
];

/// Options that are set besides on sockets that this process makes: wasi:sockets has them, hyper's client, the
/// system's resolver.
pub const OF_SOCKETS: [(i32, i32); 8] = [
    (SOL_SOCKET, SO_REUSEADDR),
    (SOL_SOCKET, SO_RCVBUF),
    (SOL_SOCKET, SO_SNDBUF),
    (IPPROTO_IP, libc::IP_TTL),
    (IPPROTO_IP, IP_RECVERR),
    (IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
    (IPPROTO_IPV6, IPV6_RECVERR),
    (IPPROTO_IPV6, IPV6_V6ONLY),
];

/// How glibc and musl start a thread (pthread_create(3)): all of it shared, by clone(2), since clone3(2) cannot be
/// looked into.
pub const OF_A_THREAD: [u64; 2] = [0x003d_0f00, 0x007d_0f00];

/// How they fork.
pub const OF_A_FORK: [u64; 2] = [0x0120_0011, 0x11];
