//! System calls stand in groups here, by who needs them and for what. What is not in a list does not exist.

use libc::{
    IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPV6_RECVERR, IPV6_V6ONLY, SO_KEEPALIVE,
    SO_LINGER, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE,
    TCP_KEEPINTVL, TCP_NODELAY, TCP_USER_TIMEOUT,
};

/// The C library, Rust's library, mimalloc and the engine need these, in every thread of every role.
pub const RUNNING: &[i64] = &[
    // Memory: mimalloc takes and gives back its segments, the engine its stacks and the memories of instances. mmap
    // and mprotect are in `memory`, which looks at what they are asked for.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munmap,
    // Time: clocks that the C library does not read from the vDSO, and threads that sleep (epoch thread, SQLite).
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Locks and the life of threads; a thread is started by clone, in `processes`. The engine uses membarrier where
    // processors do not see by themselves that code was mapped (aarch64).
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    // Signals that this process raises itself: the engine turns a fault of a guest into a trap, on a stack of its own.
    // No call that signals somebody else is in any list.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // What this process is, what it has used and what it runs on: the log, limits of processor time, sizes of pools.
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sched_getaffinity,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Randomness: guests (wasi:random), TLS, hash tables.
    libc::SYS_getrandom,
];

/// The serving loop (tokio, rustls, hyper) and the log need these. What names a peer, passes descriptors on or changes
/// a socket for others is not here: the parent module looks at the arguments of those calls.
pub const SERVING: &[i64] = &[
    // Connections are accepted from the listeners that the supervisor has bound; accept(2) without flags is not used.
    libc::SYS_accept4,
    // One loop waits for all of them: tokio by epoll, the log and the admin process by poll.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_ppoll,
    // What a connection is asked: who its client is, whether connecting has failed (SO_ERROR).
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    // Bytes of connections, pipes and the log. recvfrom and sendto are what send and recv of the C library are; of
    // sendto the parent module allows what names nobody.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
];

/// These calls make an event loop inside the sandbox: where a guest is run once (compiler, step before the start), and
/// in workers that a zygote has forked. Workers that were forked directly, and the admin process, have made theirs
/// before.
pub const BEGINNING: &[i64] = &[libc::SYS_epoll_create1, libc::SYS_eventfd2, libc::SYS_pipe2];

/// These calls use files: directories of guests (cap-std), `--static`, SQLite, files that the system's resolver reads.
/// They say nothing about which files there are: landlock does (`files`), and where it grants nothing they open
/// nothing.
pub const FILES: &[i64] = &[
    // Finding and opening: openat2 resolves beneath a directory (RESOLVE_BENEATH), for guests and for static files.
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    // What a file is.
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // Reading and writing: wasi:filesystem reads and writes at offsets, SQLite too.
    libc::SYS_copy_file_range,
    libc::SYS_fadvise64,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    // Sizes and what must be on disk: SQLite commits by fdatasync, wasi:filesystem has sync, sync-data and set-size.
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_sync_file_range,
    // Locks of whole files; those of ranges are commands of fcntl (`COMMANDS`).
    libc::SYS_flock,
    // Making, moving and removing, by wasi:filesystem and SQLite.
    libc::SYS_linkat,
    libc::SYS_renameat2,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
];

/// These calls of `FILES` make files and directories, and the arguments of these numbers say with which mode.
pub const MAKING: &[(i64, u8)] = &[
    (libc::SYS_openat, 3),
    (libc::SYS_mkdirat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1),
];

/// Modes that lend the rights of a file's owner or group to whoever executes it (inode(7)).
pub const LENDING: u64 = 0o7000;

/// These of those calls change an open file by its number, or where it is written to: done to the log, they would
/// change it for all processes.
pub const CHANGING: [i64; 6] = [
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_lseek,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
];

/// These are the calls of `FILES` by their older names, which the C library still uses on x86-64. SQLite calls several
/// of them itself.
#[cfg(target_arch = "x86_64")]
pub const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
/// aarch64 was given only the newer names, but for one.
#[cfg(target_arch = "aarch64")]
pub const OLDER: &[i64] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const OLDER: &[i64] = &[];

/// The zygote needs these, and the workers that it forks until they have entered a sandbox of their own. A filter is
/// inherited and can only become narrower, so the zygote must have what its workers need to set theirs up.
pub const FORKING: &[i64] = &[
    // It is told to fork by messages that carry the worker's pipe and the scoreboard.
    libc::SYS_recvmsg,
    // It forks (clone, in `processes`), and waits for the process in between (sys/fork.rs).
    libc::SYS_wait4,
    libc::SYS_waitid,
    // A worker closes what is not its own, and keeps its listeners under numbers of its own.
    libc::SYS_close_range,
    libc::SYS_dup,
    // A worker enters its own sandbox: session, capabilities, landlock, seccomp (and prctl: `GIVING_UP`).
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
    libc::SYS_setsid,
];

/// The process that writes logs needs these.
pub const WRITING_LOGS: &[i64] = &[
    // Files that the supervisor has opened again are received.
    libc::SYS_recvmsg,
];

/// Processes may ask these things of what is open (ioctl(2)), and FIONBIO of what others do not share.
pub const ASKED: [u64; 4] = [
    // How much there is to read: the standard library and wasi:sockets.
    libc::FIONREAD as _,
    // Close-on-exec, as Rust's library sets it where it cannot be set at opening.
    libc::FIOCLEX as _,
    // Whether it is a terminal: guests may ask, and the log.
    libc::TCGETS as _,
    // PAGEMAP_SCAN (linux/fs.h): which pages a request has written to, by which instances are restored.
    0xc060_6610,
];

/// Processes may give these commands of fcntl(2) to anything. F_SETFL and F_DUPFD are looked at in the parent module.
pub const COMMANDS: [u64; 9] = [
    // Flags: Rust's library reads them, and debug builds look whether a descriptor is open.
    libc::F_GETFD as _,
    libc::F_SETFD as _,
    libc::F_GETFL as _,
    // SQLite locks ranges of its own files.
    libc::F_GETLK as _,
    libc::F_SETLK as _,
    libc::F_SETLKW as _,
    // SQLite of guests is locked by us, each instance by a lock of its own (guest/host/database_lock).
    libc::F_OFD_GETLK as _,
    libc::F_OFD_SETLK as _,
    libc::F_OFD_SETLKW as _,
];

/// Every role names its threads, for lists of processes and debuggers.
pub const NAMES: [u64; 2] = [libc::PR_SET_NAME as _, libc::PR_GET_NAME as _];

/// Workers of a zygote ask these things of prctl(2) while they set up their own sandbox.
pub const GIVING_UP: [u64; 7] = [
    libc::PR_CAPBSET_DROP as _,
    libc::PR_CAP_AMBIENT as _,
    libc::PR_GET_SECCOMP as _,
    libc::PR_SET_DUMPABLE as _,
    libc::PR_SET_NO_NEW_PRIVS as _,
    libc::PR_SET_PDEATHSIG as _,
    libc::PR_SET_SECCOMP as _,
];

/// Connections, accepted or made, have these options set: the worker has what is written leave at once (TCP_NODELAY),
/// the outbound client and wasi:sockets have the kernel find out who is gone (the others), and a close can be a reset
/// (SO_LINGER).
pub const OF_CONNECTIONS: [(i32, i32); 7] = [
    (SOL_SOCKET, SO_LINGER),
    (SOL_SOCKET, SO_KEEPALIVE),
    (IPPROTO_TCP, TCP_NODELAY),
    (IPPROTO_TCP, TCP_KEEPIDLE),
    (IPPROTO_TCP, TCP_KEEPINTVL),
    (IPPROTO_TCP, TCP_KEEPCNT),
    (IPPROTO_TCP, TCP_USER_TIMEOUT),
];

/// Sockets that this process makes have these options set besides: wasi:sockets has them, hyper's client, the system's
/// resolver.
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

/// glibc and musl start a thread with these flags (pthread_create(3)): all of it shared, by clone(2), since clone3(2)
/// cannot be looked into.
pub const OF_A_THREAD: [u64; 2] = [0x003d_0f00, 0x007d_0f00];

/// glibc and musl fork with these flags.
pub const OF_A_FORK: [u64; 2] = [0x0120_0011, 0x11];
