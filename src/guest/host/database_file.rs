//! A `DatabaseFile` is a file of SQLite that is served: the same one for as long as the process lives. What SQLite
//! keeps beside a file has the file's name and an ending (`-wal`, `-shm`), and would be taken for that of another file
//! in its place ("How To Corrupt An SQLite Database File", section 2).

use anyhow::{Result, ensure};
use rusqlite::{Error, ErrorCode};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub struct DatabaseFile {
    path: PathBuf,
    identity: Identity,
}

/// A file has a device and a number of its own on it.
type Identity = (u64, u64);

/// An operator who has put another file in the place of one that is served is told what to do about it.
const REPLACED: &str = "its file was replaced while it is served; stop the server, put the new file there without \
                        the old one's `-wal` and `-shm` beside it, and start again";

impl DatabaseFile {
    /// Takes a file that has been opened.
    pub fn of(path: &Path) -> io::Result<DatabaseFile> {
        Ok(DatabaseFile {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether the path still leads to the file; if not, why.
    pub fn check(&self) -> std::result::Result<(), String> {
        match identity(&self.path) {
            Ok(now) if now == self.identity => Ok(()),
            Ok(_) => Err(REPLACED.to_owned()),
            Err(error) => Err(format!("its file cannot be found: {error}")),
        }
    }
}

/// Refuses a file whose write-ahead log was there before it. SQLite makes the log after the file, so that this one is left of
/// another file, by a server that was killed: SQLite would do to the new file what the log says, and report no error.
pub fn refuse_older_log(path: &Path) -> Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = Path::new(&log);
    let (Ok(about_file), Ok(about_log)) = (path.metadata(), log.metadata()) else {
        return Ok(());
    };
    // Not every file system knows when a file was made.
    if let (Ok(file_made), Ok(log_made)) = (about_file.created(), about_log.created()) {
        ensure!(
            about_log.len() == 0 || log_made >= file_made,
            "`{log}` was there before the file, so that it seems to be left of another file; if the file is new, remove \
             `{log}`, and what has the same name with `-shm`; if one backup has put both there, have SQLite take the log \
             into the file: `sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'`",
            log = log.display(),
            file = path.display()
        );
    }
    Ok(())
}

fn identity(path: &Path) -> io::Result<Identity> {
    let about = path.metadata()?;
    Ok((about.dev(), about.ino()))
}

/// Says what is wrong with the file or its disk, where an error is not a statement's.
pub fn fault(error: &Error) -> Option<String> {
    let why = match error.sqlite_error_code()? {
        // It names the place, which is not the guest's to know.
        ErrorCode::CannotOpen => return Some("its file cannot be opened".to_owned()),
        ErrorCode::DatabaseCorrupt => "its file is damaged",
        ErrorCode::NotADatabase => "its file is no database of SQLite",
        ErrorCode::SystemIoFailure => "its file cannot be read or written",
        ErrorCode::PermissionDenied => "its file may not be used",
        ErrorCode::FileLockingProtocolFailed => "its file cannot be locked",
        _ => return None,
    };
    Some(format!("{why}: {error}"))
}
