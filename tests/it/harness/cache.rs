//! Caches of compiled code.

use super::start::Start;
use super::{HELLO, Server, root};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("code-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    // It may be a cache.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// A server that keeps its compiled code here.
pub fn with_cache(component: impl AsRef<OsStr>, cache: &Path) -> Start {
    Server::component(component).option("--cache-dir", cache)
}

/// The files of a cache.
pub fn files(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The greeting, with a start function, and a memory that grows.
pub fn with_start(body: &str) -> String {
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    let mark = "    ;; Results are written to address 256:";
    assert!(source.contains(mark));
    let start = format!("(func $begin {body}) (start $begin)\n{mark}");
    source.replacen(mark, &start, 1)
}
