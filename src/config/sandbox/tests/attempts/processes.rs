//! These attempts signal, start and fork processes, and make code.

use super::{Before, absent, raw};
use crate::sandbox::{Role, Sandbox};
use crate::sys::raw::call;
use std::fs::{self, File};
use std::net::ToSocketAddrs;
use std::process::Command;

pub fn signals(_: &Sandbox, _: Role, before: &Before) {
    let own = std::process::id() as usize;
    let thread = nix::unistd::gettid().as_raw() as usize;
    let parent = nix::unistd::getppid().as_raw() as usize;
    assert_eq!(call(libc::SYS_tgkill, &[own, thread, 0]), Ok(0));
    absent(libc::SYS_tgkill, &[parent, parent, 0], "tgkill");
    absent(libc::SYS_tkill, &[parent, 0], "tkill");
    absent(libc::SYS_kill, &[parent, 0], "kill");
    absent(libc::SYS_rt_sigqueueinfo, &[parent], "rt_sigqueueinfo");
    absent(libc::SYS_rt_tgsigqueueinfo, &[parent], "rt_tgsigqueueinfo");
    absent(libc::SYS_pidfd_send_signal, &[], "pidfd_send_signal");
    let (file, owner) = (raw(&before.file), libc::F_SETOWN as usize);
    absent(libc::SYS_fcntl, &[file, owner, parent], "F_SETOWN");
    absent(
        libc::SYS_ioctl,
        &[file, libc::FIOASYNC as usize],
        "FIOASYNC",
    );
}

pub fn starts(_: &Sandbox, _: Role, _: &Before) {
    assert!(Command::new("/bin/true").spawn().is_err());
    let (vm, fork) = (libc::CLONE_VM, libc::SIGCHLD);
    for (flags, what) in [
        (fork, "a fork"),
        (vm | libc::CLONE_VFORK | fork, "a vfork"),
        (
            vm | libc::CLONE_SIGHAND | libc::CLONE_THREAD,
            "a thread that shares less",
        ),
        (libc::CLONE_NEWUSER | fork, "a namespace"),
    ] {
        absent(libc::SYS_clone, &[flags as usize], what);
    }
    absent(libc::SYS_clone3, &[], "clone3");
    absent(libc::SYS_execve, &[], "execve");
    absent(libc::SYS_execveat, &[], "execveat");
    std::thread::spawn(|| {}).join().unwrap();
}

pub fn forks(_: &Sandbox, _: Role, _: &Before) {
    let child = call(libc::SYS_clone, &[libc::SIGCHLD as usize]).unwrap();
    if child == 0 {
        let _ = call(libc::SYS_exit_group, &[7]);
    }
    let mut status = 0_i32;
    let address = (&raw mut status).expose_provenance();
    let waited = call(libc::SYS_wait4, &[child as usize, address]);
    assert_eq!((waited, status), (Ok(child), 7 << 8));
    let namespace = libc::CLONE_NEWUSER | libc::SIGCHLD;
    absent(libc::SYS_clone, &[namespace as usize], "a namespace");
    absent(libc::SYS_clone3, &[], "clone3");
    absent(libc::SYS_execve, &[], "execve");
    absent(libc::SYS_kill, &[1, 0], "kill");
    absent(libc::SYS_tgkill, &[1, 1, 0], "tgkill");
}

pub fn makes_code(sandbox: &Sandbox, _: Role, before: &Before) {
    const PAGE: usize = 4096;
    let map = |protection: i32, flags: i32, fd: usize| {
        let arguments = [0, PAGE, protection as usize, flags as usize, fd, 0];
        call(libc::SYS_mmap, &arguments)
    };
    let (read, write, code) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let own = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    assert_eq!(map(read | write | code, own, usize::MAX), Err(libc::ENOSYS));
    for flags in [libc::MAP_PRIVATE, libc::MAP_SHARED] {
        let mapped = map(read | code, flags, raw(&before.file));
        assert_eq!(mapped, Err(libc::ENOSYS));
    }
    let written = before.home.join("write/code");
    if sandbox.grants.writable.contains(&before.home.join("write")) {
        // What it has written itself, above all (mov eax, 7; ret).
        fs::write(&written, [0xb8, 7, 0, 0, 0, 0xc3]).unwrap();
        let file = File::open(&written).unwrap();
        let mapped = map(read | code, libc::MAP_PRIVATE, raw(&file));
        assert_eq!(mapped, Err(libc::ENOSYS));
        fs::remove_file(&written).unwrap();
    }
    let memory = map(read | write, own, usize::MAX).unwrap() as usize;
    let code = [memory, PAGE, (read | code) as usize];
    absent(libc::SYS_mprotect, &code, "mprotect");
    absent(libc::SYS_pkey_mprotect, &code, "pkey_mprotect");
    absent(libc::SYS_personality, &[0x0040_0000], "READ_IMPLIES_EXEC");
    absent(libc::SYS_shmat, &[], "shmat");
    absent(libc::SYS_memfd_create, &[], "memfd_create");
    if sandbox.grants.connects {
        // Nothing has to be loaded for it any more.
        assert!(("localhost", 80).to_socket_addrs().is_ok());
    }
}
