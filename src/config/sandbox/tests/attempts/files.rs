//! These attempts open, read and write files.

use super::{Before, absent, denied, raw};
use crate::sandbox::{Role, Sandbox};
use crate::sys::raw::call;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

pub fn opens(sandbox: &Sandbox, role: Role, before: &Before) {
    for name in ["read", "other"] {
        let directory = before.home.join(name);
        let read = fs::read(directory.join("file"));
        match sandbox.grants.readable.contains(&directory) {
            true => assert_eq!(read.unwrap(), name.as_bytes()),
            false => denied(read, name),
        }
    }
    writes(sandbox, role, before);
    let resolver = fs::read("/etc/passwd");
    match sandbox.grants.connects {
        true => assert!(resolver.is_ok()),
        false => denied(resolver, "/etc/passwd"),
    }
    denied(fs::read_dir("/"), "/");
    denied(fs::read("/proc/self/maps"), "/proc/self/maps");
    denied(fs::read("/proc/1/status"), "another process");
    denied(fs::read("/var/log/lastlog"), "a log");
    // What was open is open.
    assert_eq!(before.file.metadata().unwrap().len(), 5);
}

pub fn writes(sandbox: &Sandbox, _: Role, before: &Before) {
    for name in ["read", "other"] {
        let directory = before.home.join(name);
        denied(fs::write(directory.join("file"), "new"), name);
        denied(fs::write(directory.join("new"), "new"), name);
        denied(fs::remove_file(directory.join("file")), name);
    }
    let write = before.home.join("write");
    let wrote = fs::write(write.join("new"), "new");
    if !sandbox.grants.writable.contains(&write) {
        return denied(wrote, "write");
    }
    wrote.unwrap();
    fs::rename(write.join("new"), write.join("moved")).unwrap();
    assert_eq!(fs::read(write.join("moved")).unwrap(), b"new");
    fs::remove_file(write.join("moved")).unwrap();
}

/// The supervisor opens the file for code, and gives it its name in the cache.
pub fn writes_no_code(sandbox: &Sandbox, role: Role, before: &Before) {
    writes(sandbox, role, before);
    let cache = before.home.join("cache");
    denied(fs::write(cache.join("code"), "code"), "the cache");
    // The supervisor has opened the files that it writes into.
    absent(libc::SYS_memfd_create, &[], "memfd_create");
    let mut nameless = fs::OpenOptions::new();
    nameless.write(true).custom_flags(libc::O_TMPFILE);
    denied(nameless.open(&cache), "a nameless file in the cache");
    let component = before.home.join("app.wasm");
    assert_eq!(fs::read(&component).unwrap(), b"component");
    denied(fs::write(&component, "new"), "the component");
    denied(fs::read(before.home.join("other/file")), "another file");
}

/// Guards against a worker that erases what it was seen doing: the log may be a file, which all processes share.
pub fn keeps_log(_: &Sandbox, _: Role, _: &Before) {
    for stream in 0..=2_usize {
        for (number, what) in [
            (libc::SYS_ftruncate, "ftruncate"),
            (libc::SYS_fallocate, "fallocate"),
            (libc::SYS_lseek, "lseek"),
            (libc::SYS_pwrite64, "pwrite64"),
            (libc::SYS_pwritev, "pwritev"),
            (libc::SYS_pwritev2, "pwritev2"),
            (libc::SYS_fchmod, "fchmod"),
            (libc::SYS_fchown, "fchown"),
        ] {
            absent(number, &[stream], what);
        }
        let into = [usize::MAX, 0, stream];
        absent(libc::SYS_copy_file_range, &into, "copy_file_range");
    }
    eprintln!("what is logged arrives");
}

/// Landlock looks at none of these: a file that is open to be read, or that nobody may open, would do.
pub fn changes_no_mode(sandbox: &Sandbox, _: Role, before: &Before) {
    let open = raw(&before.file);
    let home = CString::new(before.home.as_os_str().as_bytes()).unwrap();
    let path = home.as_ptr().expose_provenance();
    let here = libc::AT_FDCWD as usize;
    for (number, what) in [
        (libc::SYS_fchmodat, "fchmodat"),
        (libc::SYS_fchownat, "fchownat"),
        (libc::SYS_utimensat, "utimensat of a path"),
        (libc::SYS_fsetxattr, "fsetxattr"),
    ] {
        absent(number, &[here, path, 0, 0], what);
    }
    let making = libc::O_CREAT as usize | libc::O_WRONLY as usize;
    for lending in [0o4755, 0o2755, 0o1777] {
        absent(libc::SYS_fchmod, &[open, lending], "fchmod");
        absent(libc::SYS_openat, &[here, path, making, lending], "openat");
        absent(libc::SYS_mkdirat, &[here, path, lending], "mkdirat");
        #[cfg(target_arch = "x86_64")]
        {
            absent(libc::SYS_open, &[path, making, lending], "open");
            absent(libc::SYS_mkdir, &[path, lending], "mkdir");
        }
    }
    if !sandbox.grants.database {
        absent(libc::SYS_fchmod, &[open, 0o666], "fchmod");
        absent(libc::SYS_fchown, &[open, usize::MAX, usize::MAX], "fchown");
    }
    let times = call(libc::SYS_utimensat, &[open, 0, 0, 0]);
    assert_eq!(
        times == Err(libc::ENOSYS),
        sandbox.grants.writable.is_empty()
    );
}
