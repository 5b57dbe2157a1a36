//! What a process that runs may have is changed while it does.

use super::finished;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Has a process write no file beyond so many bytes from here on (RLIMIT_FSIZE); none lifts that.
pub fn limit_files(pid: i32, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let mut prlimit = Command::new("prlimit");
    // The hard limit stays, so that the soft one can be lifted again.
    prlimit.args(["--pid", &pid.to_string(), &format!("--fsize={limit}:")]);
    let set = finished(prlimit);
    assert!(set.status.success(), "{set:?}");
}

/// A file system in memory that is full soon.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Gives none where it may not be made.
    pub fn new(name: &str, kibibytes: u32) -> Option<SmallDisk> {
        let name = format!("small-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={kibibytes}k");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(&path);
        let disk = SmallDisk(path);
        if finished(mount).status.success() {
            return Some(disk);
        }
        println!("no file system may be mounted here");
        None
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(&self.0);
        let _ = finished(unmount);
        let _ = std::fs::remove_dir(&self.0);
    }
}
