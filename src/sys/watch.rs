//! Files that change.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Watches files through their directories, so that a file that is replaced by another of the same
/// name is seen (inotify(7)).
pub struct Watch {
    inotify: Inotify,
    names: Vec<OsString>,
}

impl Watch {
    pub fn new(files: &[PathBuf]) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let flags =
            AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
        let mut names = Vec::new();
        for file in files {
            let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
            inotify.add_watch(directory.unwrap_or(Path::new(".")), flags)?;
            names.extend(file.file_name().map(OsString::from));
        }
        Ok(Watch { inotify, names })
    }

    /// Whether one of the files changed since the last time.
    pub fn changed(&self) -> bool {
        let mut changed = false;
        while let Ok(events) = self.inotify.read_events() {
            changed |= events.iter().any(|event| {
                event
                    .name
                    .as_ref()
                    .is_some_and(|name| self.names.contains(name))
            });
        }
        changed
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
