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
    with_functions(&format!("(func $begin {body}) (start $begin)\n"))
}

/// The greeting, with so many functions that compiling them takes a while.
pub fn with_much_code(functions: usize) -> String {
    let mut text = String::new();
    for number in 0..functions {
        let step = format!("(local.set 0 (i32.mul (local.get 0) (i32.const {number})))");
        text += &format!("(func (param i32) {})\n", step.repeat(32));
    }
    with_functions(&text)
}

fn with_functions(functions: &str) -> String {
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    let mark = "    ;; Results are written to address 256:";
    assert!(source.contains(mark));
    source.replacen(mark, &format!("{functions}{mark}"), 1)
}
