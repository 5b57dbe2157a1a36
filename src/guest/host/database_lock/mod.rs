//! SQLite databases of guests are locked by the kernel. WASI has no locks on files, so SQLite in a guest locks `a.db`
//! by making a directory `a.db.lock` (the `unix-dotfile` locking of SQLite's os_unix.c), which stays behind when an
//! instance ends in the middle of a transaction. Here, what a guest asks about such a directory is answered by a lock
//! of the kernel on the database file, on the bytes that every other SQLite locks. The directory is never made; the
//! lock ends with the instance that holds it, and with its process.
//!
//! It is our own, as nobody else has answered for what WASI lacks.

mod beneath;
mod file_lock;
mod interface;
pub mod p2;
mod p3;

pub use interface::add_to_linker;

use file_lock::FileLock;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir};

/// SQLite appends this to the path of a database (DOTLOCK_SUFFIX).
const SUFFIX: &str = ".lock";

/// One instance may hold this many locks at a time. Each is an open file.
const MOST: usize = 64;

/// The host looks this often whether what an ended instance was writing is written.
const LOOK: Duration = Duration::from_millis(1);

/// A `FileId` is the device and the inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(file: &File) -> Option<FileId> {
        let metadata = file.metadata().ok()?;
        Some(FileId(metadata.dev(), metadata.ino()))
    }
}

/// A `LockDirectory` says where a guest's SQLite wants its lock directory.
struct LockDirectory {
    directory: Dir,
    identity: FileId,
    path: String,
}

impl LockDirectory {
    /// Returns `None` where the path is not one of a lock directory.
    fn of(table: &ResourceTable, fd: &Resource<Descriptor>, path: &str) -> Option<LockDirectory> {
        let database = path.strip_suffix(SUFFIX)?;
        if database.is_empty() || database.ends_with('/') {
            return None;
        }
        let Descriptor::Dir(directory) = table.get(fd).ok()? else {
            return None;
        };
        Some(LockDirectory {
            identity: FileId::of(&directory.dir)?,
            directory: directory.clone(),
            path: path.to_owned(),
        })
    }

    fn database(&self) -> &str {
        self.path.strip_suffix(SUFFIX).unwrap_or(&self.path)
    }
}

/// `DatabaseLocks` holds the locks of one instance.
#[derive(Default)]
pub struct DatabaseLocks {
    held: Vec<HeldLock>,
    /// Through these directories the instance changes what stands beside its databases, such as journals. No other
    /// instance has these handles.
    directories: Vec<Arc<File>>,
}

struct HeldLock {
    directory: FileId,
    path: String,
    /// The lock is released when it is dropped.
    _lock: FileLock,
}

impl DatabaseLocks {
    fn position(&self, place: &LockDirectory) -> Option<usize> {
        self.held
            .iter()
            .position(|held| held.directory == place.identity && held.path == place.path)
    }

    fn holds(&self, place: &LockDirectory) -> bool {
        self.position(place).is_some()
    }

    fn is_full(&self) -> bool {
        self.held.len() >= MOST
    }

    fn add(&mut self, place: LockDirectory, lock: FileLock) {
        self.held.push(HeldLock {
            directory: place.identity,
            path: place.path,
            _lock: lock,
        });
    }

    /// Gives a lock back, and says whether there was one.
    fn give_back(&mut self, place: &LockDirectory) -> bool {
        let position = self.position(place);
        position.map(|held| self.held.swap_remove(held)).is_some()
    }

    /// Gives the instance a handle of its own to the directory of a database, so that it can be seen whether
    /// something is being done there.
    fn watch(&mut self, table: &mut ResourceTable, fd: &Resource<Descriptor>) {
        let Ok(Descriptor::Dir(directory)) = table.get_mut(fd) else {
            return;
        };
        let known = |own: &Arc<File>| Arc::ptr_eq(own, &directory.dir);
        if self.directories.iter().any(known) {
            return;
        }
        let Ok(handle) = directory.dir.try_clone() else {
            return;
        };
        *directory = Dir::new(handle, directory.perms, directory.open_mode, false);
        self.directories.push(directory.dir.clone());
    }

    /// Gives all locks back when the instance has come to its end, or will be restored, and uses nothing of this
    /// table any more. What it was writing when it was stopped is written by another thread, and must not reach a
    /// database, or its journal, that somebody else has locked: the locks are kept until nothing of it is under way.
    pub fn end(&mut self, table: &mut ResourceTable) {
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let mut in_use = std::mem::take(&mut self.directories);
        in_use.extend(table.iter_mut().filter_map(|entry| {
            match entry.downcast_ref::<Descriptor>()? {
                Descriptor::File(file) => Some(file.file.clone()),
                Descriptor::Dir(_) => None,
            }
        }));
        *table = ResourceTable::new();
        if is_idle(&in_use) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    while !is_idle(&in_use) {
                        tokio::time::sleep(LOOK).await;
                    }
                    drop(held);
                });
            }
            // The process is about to end, and the kernel releases them then.
            Err(_) => std::mem::forget(held),
        }
    }
}

/// Says whether no thread reads or writes one of these files: each that does has a handle.
fn is_idle(in_use: &[Arc<File>]) -> bool {
    in_use.iter().all(|file| Arc::strong_count(file) == 1)
}

/// Says whether a guest has opened this file.
fn has_open(table: &mut ResourceTable, file: &File) -> bool {
    let identity = FileId::of(file);
    identity.is_some()
        && table.iter_mut().any(|entry| {
            matches!(entry.downcast_ref::<Descriptor>(), Some(Descriptor::File(file))
                if FileId::of(&file.file) == identity)
        })
}
