//! This file watches files that change.
//!
//! It is our own, as notify starts a thread for it, which the supervisor must not have; both who watch (`supervisor`,
//! `develop`) look at the files themselves.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Gives the directory that a file is in, as it can be opened.
pub fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// A `Watch` wakes up whoever polls it when something happens to files (inotify(7)). It tells neither what nor to
/// which: a look at the files does, and that also works where the kernel cannot watch.
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

/// A `Signature` tells two states of a file apart: its device, its inode, its length, and when it was written. It is
/// `None` where the file is not there, as it is for a moment when a tool replaces it.
pub type Signature = Option<(u64, u64, u64, SystemTime)>;

pub fn signature(file: &Path) -> Signature {
    let metadata = std::fs::metadata(file).ok()?;
    let modified = metadata.modified().ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), modified))
}

/// `Settling` files are told of once for each change, when nobody has written to them for a while.
pub struct Settling<T> {
    quiet: Duration,
    known: T,
    /// The files are like this now, since then.
    fresh: Option<(T, Instant)>,
}

impl<T: PartialEq> Settling<T> {
    pub fn new(known: T, quiet: Duration) -> Settling<T> {
        Settling {
            quiet,
            known,
            fresh: None,
        }
    }

    /// Returns how the files were when a change was told last.
    pub fn known(&self) -> &T {
        &self.known
    }

    /// Takes note of how the files are now. Gives how they were before, where a change has settled and this state
    /// may be told.
    pub fn seen(
        &mut self,
        files: T,
        now: Instant,
        may_be_told: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        if files == self.known {
            self.fresh = None;
            return None;
        }
        let since = match &self.fresh {
            Some((seen, since)) if *seen == files => *since,
            _ => now,
        };
        if now.saturating_duration_since(since) < self.quiet || !may_be_told(&files) {
            self.fresh = Some((files, since));
            return None;
        }
        self.fresh = None;
        Some(std::mem::replace(&mut self.known, files))
    }

    /// Returns when a change that was seen will have settled.
    pub fn settles_at(&self) -> Option<Instant> {
        let (_, since) = self.fresh.as_ref()?;
        Some(*since + self.quiet)
    }
}
