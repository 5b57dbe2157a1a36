//! Files that change.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The directory that a file is in, as it can be opened.
pub fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// Wakes up whoever polls it when something happens to files (inotify(7)). It tells neither what nor
/// to which: a look at the files does, and that also works where the kernel cannot watch.
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    pub fn new() -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Watch { inotify })
    }

    /// Watches files through their directories, so that one that is replaced by another of the same
    /// name is seen. A directory that cannot be watched is not; one that is watched already is no
    /// error.
    pub fn add(&self, files: &[PathBuf]) {
        let flags =
            AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
        for file in files {
            let _ = self.inotify.add_watch(directory_of(file), flags);
        }
    }

    /// Forgets what happened so far.
    pub fn drain(&self) {
        while self.inotify.read_events().is_ok_and(|e| !e.is_empty()) {}
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The device, inode and length of a file, and when it was written; none where it is not there.
pub fn signature(file: &Path) -> Option<(u64, u64, u64, SystemTime)> {
    let metadata = std::fs::metadata(file).ok()?;
    let modified = metadata.modified().ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), modified))
}
