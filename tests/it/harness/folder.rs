//! Folders of a test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder whose path is short enough for a socket in it, and which is gone at the end.
pub struct Folder(TempDir);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let prefix = format!("wasmserve-{name}-");
        Folder(TempDir::with_prefix(prefix).expect("there is room for a folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where a socket may be made.
    pub fn socket(&self) -> PathBuf {
        self.path().join("http.sock")
    }

    /// The path of a file, which need not exist.
    pub fn file(&self, name: &str) -> String {
        text(&self.path().join(name)).to_owned()
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("tests have no other paths")
}

/// Whether this machine has an IPv6 loopback, which not every container has.
pub fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        println!("there is no IPv6 here");
    }
    has
}
