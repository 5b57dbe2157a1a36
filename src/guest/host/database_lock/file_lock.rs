//! A `FileLock` is the kernel's lock on a database file. It locks the bytes that SQLite itself locks (os.h), far
//! behind what a database has in its first gigabyte. The lock belongs to the open file description (fcntl(2),
//! F_OFD_SETLK): two instances of one process exclude each other, and it is released when the description is closed.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A writer holds this byte while it waits for the readers to leave (PENDING_BYTE); the byte after it is
/// RESERVED_BYTE.
const PENDING: i64 = 0x4000_0000;

/// Readers hold these bytes (SHARED_FIRST and SHARED_SIZE).
const SHARED: (i64, i64) = (PENDING + 2, 510);

/// An exclusive lock holds all of these bytes.
const EVERYTHING: (i64, i64) = (PENDING, 512);

/// A database begins with these bytes (the database file format, section 1.3).
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// `FileKind` says what a file is, as its beginning shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Database,
    /// SQLite leaves an empty file where nothing was written to a database yet.
    Empty,
    Other,
}

impl FileKind {
    pub fn of(file: &File) -> io::Result<FileKind> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(FileKind::Other);
        }
        if metadata.len() == 0 {
            return Ok(FileKind::Empty);
        }
        let mut beginning = [0; HEADER.len()];
        let read = file.read_at(&mut beginning, 0)?;
        Ok(match read == HEADER.len() && beginning == *HEADER {
            true => FileKind::Database,
            false => FileKind::Other,
        })
    }
}

/// A `LockMode` says whom else a lock leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// The lock leaves nobody in.
    Exclusive,
    /// The lock leaves readers in.
    Shared,
}

/// A `FileLock` is held until it is dropped.
pub struct FileLock(Arc<File>);

impl FileLock {
    /// Returns `None` where somebody else holds a lock that excludes this one. No other value of this type may lock
    /// the file.
    pub fn attempt(file: Arc<File>, mode: LockMode) -> io::Result<Option<FileLock>> {
        let lock = FileLock(file);
        let locked = match mode {
            LockMode::Exclusive => lock.set(libc::F_WRLCK, EVERYTHING)?,
            LockMode::Shared => lock.share()?,
        };
        Ok(locked.then_some(lock))
    }

    /// Becomes a reader as SQLite does: a writer that waits for readers to leave lets no more of them in.
    fn share(&self) -> io::Result<bool> {
        let pending = (PENDING, 1);
        let shared = self.set(libc::F_RDLCK, pending)? && self.set(libc::F_RDLCK, SHARED)?;
        self.set(libc::F_UNLCK, pending)?;
        Ok(shared)
    }

    fn set(&self, kind: i32, (start, length): (i64, i64)) -> io::Result<bool> {
        let range = libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: length,
            l_pid: 0,
        };
        match fcntl(&*self.0, FcntlArg::F_OFD_SETLK(&range)) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for FileLock {
    /// Releases the lock by hand: somebody may still have the file, and with it its description.
    fn drop(&mut self) {
        let _ = self.set(libc::F_UNLCK, EVERYTHING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, OpenFlags};
    use std::path::PathBuf;

    fn database(name: &str) -> PathBuf {
        let name = format!("wasmserve-lock-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        path
    }

    fn open(path: &PathBuf) -> Arc<File> {
        let options = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        Arc::new(options.unwrap())
    }

    fn native(path: &PathBuf) -> Connection {
        let connection = Connection::open_with_flags(path, OpenFlags::default()).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        connection
    }

    #[test]
    fn a_database_is_told_by_its_beginning() {
        let path = database("kind");
        assert_eq!(FileKind::of(&open(&path)).unwrap(), FileKind::Empty);
        native(&path).execute("create table t (x)", []).unwrap();
        assert_eq!(FileKind::of(&open(&path)).unwrap(), FileKind::Database);
        std::fs::write(&path, "SQLite format 4 and more").unwrap();
        assert_eq!(FileKind::of(&open(&path)).unwrap(), FileKind::Other);
        assert_eq!(
            FileKind::of(&File::open("/").unwrap()).unwrap(),
            FileKind::Other
        );
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_native_sqlite_and_a_lock_exclude_each_other() {
        let path = database("native");
        let sqlite = native(&path);
        sqlite.execute("create table t (x)", []).unwrap();
        let count = || sqlite.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0));
        let attempt = |mode| FileLock::attempt(open(&path), mode).unwrap();

        let held = attempt(LockMode::Exclusive);
        assert!(held.is_some());
        assert!(count().is_err());
        assert!(attempt(LockMode::Exclusive).is_none() && attempt(LockMode::Shared).is_none());
        drop(held);

        let held = (attempt(LockMode::Shared), attempt(LockMode::Shared));
        assert!(held.0.is_some() && held.1.is_some());
        assert_eq!(count(), Ok(0));
        assert!(sqlite.execute("insert into t values (1)", []).is_err());
        assert!(attempt(LockMode::Exclusive).is_none());
        drop(held);

        sqlite.execute_batch("begin immediate").unwrap();
        assert!(attempt(LockMode::Exclusive).is_none() && attempt(LockMode::Shared).is_some());
        sqlite.execute_batch("commit; begin exclusive").unwrap();
        assert!(attempt(LockMode::Shared).is_none());
        sqlite.execute_batch("commit").unwrap();
        assert!(attempt(LockMode::Exclusive).is_some());
        std::fs::remove_file(path).unwrap();
    }
}
