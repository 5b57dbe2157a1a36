//! The operator grants files of SQLite by names, and guests open them by these (`spin:sqlite`). Each connection is
//! made for the guest that opens it and closed when that is done, so that nothing is left in one for another.

mod authority;
mod connection;
mod cpu_time;
mod interface;

pub use interface::add_to_linker;

use super::database_file::{DatabaseFile, refuse_older_log};
use anyhow::{Context, Result, bail};
use connection::{connect, heap_beside};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// `SqliteSettings` says which files there are, and what using them may take.
#[derive(Clone, Debug, Default)]
pub struct SqliteSettings {
    /// Guests open them by these names.
    pub databases: Vec<(String, PathBuf)>,
    /// One worker has this many connections to each file at a time.
    pub connections: usize,
    /// A statement must be done within this time.
    pub answer: Duration,
}

/// Says whether a component that imports `name` needs a database.
pub fn is_needed_for(name: &str) -> bool {
    name.starts_with("spin:sqlite/")
}

/// `Files` holds the databases of one process.
pub struct Files(HashMap<String, Arc<File>>);

/// A `File` is one database.
pub struct File {
    name: String,
    file: DatabaseFile,
    permits: Arc<Semaphore>,
    answer: Duration,
    /// SQLite may have this many bytes.
    heap: usize,
    /// Whoever closes the last connection folds the write-ahead log into the database: with this one it is nobody who
    /// answers a request.
    _open: Mutex<rusqlite::Connection>,
}

impl Files {
    /// Makes the files where there are none yet: several processes at a time would be in each other's way.
    pub fn prepare(settings: &SqliteSettings) -> Result<()> {
        let mut all = settings.databases.iter();
        all.try_for_each(|(_, path)| {
            refuse_older_log(path)
                .with_context(|| format!("database `{}` is not opened", path.display()))?;
            made(path, heap_beside(usize::MAX)).map(drop)
        })
    }

    /// Opens the files in a process whose instances may have `memory` bytes.
    pub fn open(settings: &SqliteSettings, memory: usize) -> Result<Files> {
        let heap = heap_beside(memory);
        let files = settings.databases.iter().map(|(name, path)| {
            let open = Mutex::new(made(path, heap)?);
            let about = || format!("database `{}` cannot be looked at", path.display());
            let file = File {
                name: name.clone(),
                file: DatabaseFile::of(path).with_context(about)?,
                permits: Arc::new(Semaphore::new(settings.connections)),
                answer: settings.answer,
                heap,
                _open: open,
            };
            Ok((name.clone(), Arc::new(file)))
        });
        Ok(Files(files.collect::<Result<_>>()?))
    }

    fn file(&self, name: &str) -> Option<&Arc<File>> {
        self.0.get(name)
    }
}

/// Connects to a database, and makes it where there is none. A write-ahead log lets readers and a writer work side by
/// side; the file remembers it.
fn made(path: &Path, heap: usize) -> Result<rusqlite::Connection> {
    let made = || {
        let connection = connect(path, true, heap)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            bail!("its file system does not take a write-ahead log; choose a local one");
        }
        anyhow::Ok(connection)
    };
    made().with_context(|| {
        format!(
            "database `{}` cannot be opened; it is a SQLite file that wasmserve may write, in a directory that it \
             may write",
            path.display()
        )
    })
}
