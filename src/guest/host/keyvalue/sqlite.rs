//! In SQLite the store is a file. SQLite waits for disks and for other processes, so it has threads of its own here:
//! one that writes, one that reads. The writes that are waiting are committed together.

use super::{KeyPage, StoreFailure};
use crate::guest::host::about_guests;
use crate::guest::host::database_file::{DatabaseFile, fault, refuse_older_log};
use crate::sys::limits;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;

pub struct Sqlite {
    writes: Sender<Job>,
    reads: Sender<Job>,
}

/// A `Job` does its work within a transaction, where there can be one, and leaves what is to be done when that has
/// ended.
type Job = Box<dyn FnOnce(Result<&Connection, StoreFailure>) -> Finish + Send>;

type Finish = Box<dyn FnOnce(Result<(), StoreFailure>) + Send>;

/// SQLite waits for this long while another process writes.
const BUSY: Duration = Duration::from_secs(5);

/// This many writes are committed together, at most.
const TOGETHER: usize = 256;

/// One answer to `list-keys` has this many keys.
const PAGE: i64 = 1000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS wasi_keyvalue (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (bucket, key)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS wasi_keyvalue_of_bucket ON wasi_keyvalue (bucket);";

impl Sqlite {
    pub fn open(path: &Path) -> Result<Sqlite> {
        let writer = made(path)?;
        let reader = connect(path).with_context(|| about(path))?;
        let file = Arc::new(DatabaseFile::of(path).with_context(|| about(path))?);
        let checked = file.clone();
        Ok(Sqlite {
            writes: start("keyvalue-write", move |jobs| write_all(writer, &file, jobs))?,
            reads: start("keyvalue-read", move |jobs| {
                read_all(&reader, &checked, jobs)
            })?,
        })
    }

    /// Makes the store where there is none yet: several processes at a time would be in each other's way.
    pub fn prepare(path: &Path) -> Result<()> {
        refuse_older_log(path)
            .with_context(|| format!("key-value store `{}` is not opened", path.display()))?;
        made(path).map(drop)
    }

    pub async fn get(
        &self,
        bucket: &str,
        keys: Vec<String>,
        most: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreFailure> {
        let bucket = bucket.to_owned();
        run(&self.reads, move |connection| {
            // The length of a value is known without reading it.
            let sql = "SELECT CASE WHEN length(value) <= ?3 THEN value END \
                       FROM wasi_keyvalue WHERE bucket = ?1 AND key = ?2";
            let mut query = connection.prepare_cached(sql)?;
            let mut left = most;
            let mut get = |key: &String| {
                let may = i64::try_from(left).unwrap_or(i64::MAX);
                let value = query.query_row(params![bucket, key, may], |row| row.get(0));
                let value: Option<Option<Vec<u8>>> = value.optional()?;
                let Some(value) = value else {
                    return Ok(None);
                };
                let value = value.ok_or_else(StoreFailure::too_large)?;
                left -= value.len();
                Ok(Some(value))
            };
            keys.iter().map(&mut get).collect()
        })
        .await
    }

    pub async fn exists(&self, bucket: &str, key: String) -> Result<bool, StoreFailure> {
        let bucket = bucket.to_owned();
        run(&self.reads, move |connection| {
            let sql = "SELECT 1 FROM wasi_keyvalue WHERE bucket = ? AND key = ?";
            Ok(connection.prepare_cached(sql)?.exists([&bucket, &key])?)
        })
        .await
    }

    pub async fn set(
        &self,
        bucket: &str,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), StoreFailure> {
        let bucket = bucket.to_owned();
        run(&self.writes, move |connection| {
            for (key, value) in &pairs {
                put(connection, &bucket, key, value)?;
            }
            Ok(())
        })
        .await
    }

    pub async fn delete(&self, bucket: &str, keys: Vec<String>) -> Result<(), StoreFailure> {
        let bucket = bucket.to_owned();
        run(&self.writes, move |connection| {
            let sql = "DELETE FROM wasi_keyvalue WHERE bucket = ? AND key = ?";
            let mut delete = connection.prepare_cached(sql)?;
            for key in &keys {
                delete.execute([&bucket, key])?;
            }
            Ok(())
        })
        .await
    }

    /// Lists keys in the order in which they were first set; the cursor is the last that was given.
    pub async fn keys(
        &self,
        bucket: &str,
        cursor: Option<u64>,
        most: usize,
    ) -> Result<KeyPage, StoreFailure> {
        let bucket = bucket.to_owned();
        let after = i64::try_from(cursor.unwrap_or(0)).unwrap_or(i64::MAX);
        run(&self.reads, move |connection| {
            let sql =
                "SELECT id, key FROM wasi_keyvalue WHERE bucket = ? AND id > ? ORDER BY id LIMIT ?";
            let mut query = connection.prepare_cached(sql)?;
            let mut rows = query.query(params![bucket, after, PAGE])?;
            let (mut keys, mut last, mut left) = (Vec::new(), None, most);
            while let Some(row) = rows.next()? {
                let key: String = row.get(1)?;
                if key.len() > left {
                    return match last {
                        Some(_) => Ok((keys, last)),
                        None => Err(StoreFailure::too_large()),
                    };
                }
                left -= key.len();
                last = Some(row.get::<_, i64>(0)?.cast_unsigned());
                keys.push(key);
            }
            let full = keys.len() as i64 == PAGE;
            Ok((keys, last.filter(|_| full)))
        })
        .await
    }

    pub async fn increment(
        &self,
        bucket: &str,
        key: String,
        delta: i64,
    ) -> Result<i64, StoreFailure> {
        let bucket = bucket.to_owned();
        run(&self.writes, move |connection| {
            let sql = "SELECT value FROM wasi_keyvalue WHERE bucket = ? AND key = ?";
            let mut query = connection.prepare_cached(sql)?;
            let value: Option<Vec<u8>> = query
                .query_row([&bucket, &key], |row| row.get(0))
                .optional()?;
            let before = value.map_or(Ok(0), |value| number(&value))?;
            let after = before
                .checked_add(delta)
                .ok_or_else(|| StoreFailure("the number would be too large".to_owned()))?;
            put(connection, &bucket, &key, after.to_string().as_bytes())?;
            Ok(after)
        })
        .await
    }
}

/// Connects to a store, and makes it where there is none.
fn made(path: &Path) -> Result<Connection> {
    let connect = || {
        let connection = connect(path)?;
        connection.execute_batch(SCHEMA)?;
        anyhow::Ok(connection)
    };
    connect().with_context(|| about(path))
}

fn about(path: &Path) -> String {
    format!(
        "key-value store `{}` cannot be opened; it is a SQLite file that wasmserve may write, \
         in a directory that it may write",
        path.display()
    )
}

fn number(value: &[u8]) -> Result<i64, StoreFailure> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreFailure("the value is not a whole number".to_owned()))
}

fn put(connection: &Connection, bucket: &str, key: &str, value: &[u8]) -> Result<(), StoreFailure> {
    let sql = "INSERT INTO wasi_keyvalue (bucket, key, value) VALUES (?, ?, ?) \
               ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value";
    connection
        .prepare_cached(sql)?
        .execute(params![bucket, key, value])?;
    Ok(())
}

impl From<rusqlite::Error> for StoreFailure {
    fn from(error: rusqlite::Error) -> StoreFailure {
        StoreFailure(fault(&error).unwrap_or_else(|| error.to_string()))
    }
}

/// Connects to a store. A write-ahead log lets readers and a writer work side by side, and what is acknowledged is on
/// disk.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        bail!("its file system does not take a write-ahead log; choose a local one");
    }
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

fn start(name: &str, work: impl FnOnce(&Receiver<Job>) + Send + 'static) -> Result<Sender<Job>> {
    let (jobs, received) = channel();
    limits::spawn(name, move || work(&received))
        .context("cannot start a thread for the key-value store")?;
    Ok(jobs)
}

/// Has a thread do `work`, and resolves when that is done and, if it writes, on disk.
async fn run<T: Send + 'static>(
    lane: &Sender<Job>,
    work: impl FnOnce(&Connection) -> Result<T, StoreFailure> + Send + 'static,
) -> Result<T, StoreFailure> {
    let (answer, answered) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let result = connection.and_then(work);
        Box::new(move |ended| {
            let _ = answer.send(result.and_then(|done| ended.map(|()| done)));
        })
    });
    let _ = lane.send(job);
    let gone = |_| StoreFailure("the store could not be written".to_owned());
    answered.await.map_err(gone)?
}

fn read_all(connection: &Connection, file: &DatabaseFile, jobs: &Receiver<Job>) {
    for job in jobs {
        let checked = file.check().map_err(StoreFailure);
        job(checked.map(|()| connection))(Ok(()));
    }
}

fn write_all(mut connection: Connection, file: &DatabaseFile, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let waiting = jobs.try_iter().take(TOGETHER - 1);
        let batch: Vec<Job> = std::iter::once(first).chain(waiting).collect();
        let mut finishes = Vec::with_capacity(batch.len());
        let ended = commit(&mut connection, file, batch, &mut finishes);
        if let Err(StoreFailure(why)) = &ended {
            about_guests::tell!("the key-value store could not be written: {why}");
        }
        for finish in finishes {
            finish(ended.clone());
        }
    }
}

/// Commits the jobs, all of them or none.
fn commit(
    connection: &mut Connection,
    file: &DatabaseFile,
    batch: Vec<Job>,
    finishes: &mut Vec<Finish>,
) -> Result<(), StoreFailure> {
    // What is written to a file that nobody finds any more is lost.
    let checked = file.check().map_err(StoreFailure);
    let begun = checked
        .and_then(|()| Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?));
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(why) => {
            finishes.extend(batch.into_iter().map(|job| job(Err(why.clone()))));
            return Err(why);
        }
    };
    // A full disk, among others, rolls the transaction back on its own.
    let rolled_back = || StoreFailure("another write failed that it was done with".to_owned());
    for job in batch {
        finishes.push(match transaction.is_autocommit() {
            true => job(Err(rolled_back())),
            false => job(Ok(&transaction)),
        });
    }
    match transaction.is_autocommit() {
        true => Err(rolled_back()),
        false => Ok(transaction.commit()?),
    }
}

#[cfg(test)]
mod tests;
