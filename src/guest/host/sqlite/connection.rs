//! A `Guarded` connection is one guest's. SQLite waits for disks and for other processes, so it is used in threads that
//! may wait; a guest that is gone has what is running interrupted, and the rest rolled back.

use super::File;
use super::authority::authorize;
use super::cpu_time::CpuTime;
use super::interface::wit::{self, QueryResult, RowResult, Value};
use crate::guest::host::database_error;
use crate::guest::host::database_file;
use crate::guest::host::{about_guests, stuck};
use crate::guest::schedule::cpu_budget::CpuBudget;
use crate::log;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, Row, Rows, ToSql};
use std::ffi::c_int;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// SQLite waits for this long while somebody else writes.
const BUSY: Duration = Duration::from_secs(5);

/// A connection must be had by then.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// All of SQLite in one process may have this many bytes: what statements sort and put together is in memory.
const HEAP: usize = 256 << 20;

/// It may have no more than one part in this many of what the worker's instances may have: so much is left of the
/// machine beside those (`--max-worker-memory auto`).
const PART: usize = 4;

/// It may have so much at least: each connection has a cache of 2 MiB.
const LEAST: usize = 16 << 20;

/// Says how many bytes SQLite may have where the worker's instances may have this many.
pub fn heap_beside(instances: usize) -> usize {
    (instances / PART).clamp(LEAST, HEAP)
}

/// After this many of its own instructions, a statement looks whether it is still wanted.
const LOOK: c_int = 10_000;

/// The log says as much when the guest is ended, which is as soon as it goes on.
const CPU_USED_UP: &str = "the statement used up the request's processor time (--limit-cpu)";

/// A `SqliteError` says why something could not be done.
#[derive(Debug)]
pub enum SqliteError {
    /// The operator has granted none of this name.
    NoSuchDatabase,
    Full,
    Denied,
    /// The file, or its disk, is not as it has to be. The operator is to know of this.
    Damaged(String),
    /// Nothing can be written.
    ReadOnly(String),
    /// SQLite says this in its own words.
    Other(String),
    /// The operator is to know of this, too.
    GivenUp(String),
    /// The guest was told this, which is recorded.
    Told(wit::Error),
}

impl database_error::DriverError for SqliteError {
    fn for_operator(&self) -> Option<&str> {
        match self {
            SqliteError::GivenUp(why) | SqliteError::Damaged(why) => Some(why),
            SqliteError::Full => Some("its disk is full"),
            SqliteError::NoSuchDatabase
            | SqliteError::Denied
            | SqliteError::ReadOnly(_)
            | SqliteError::Other(_)
            | SqliteError::Told(_) => None,
        }
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> SqliteError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => SqliteError::Full,
            Some(ErrorCode::AuthorizationForStatementDenied) => SqliteError::Denied,
            Some(ErrorCode::ReadOnly) => SqliteError::ReadOnly(error.to_string()),
            _ => match database_file::fault(&error) {
                Some(fault) => SqliteError::Damaged(fault),
                None => SqliteError::Other(error.to_string()),
            },
        }
    }
}

impl SqliteError {
    /// Says whose doing it is that nothing can be written. A guest may have made its connection so, or the file may not
    /// be written, or what SQLite keeps beside it.
    fn of(self, connection: &Connection) -> SqliteError {
        let is_own_doing = || {
            let asked = connection.pragma_query_value(None, "query_only", |row| row.get(0));
            asked == Ok(true)
        };
        match self {
            SqliteError::ReadOnly(why) if !is_own_doing() => {
                SqliteError::Damaged(format!("its file cannot be written: {why}"))
            }
            other => other,
        }
    }
}

/// A `Guarded` connection belongs to a guest until it is dropped.
pub struct Guarded {
    file: Arc<File>,
    /// The connection is elsewhere while a statement runs.
    held: Option<ConnectionWithPermit>,
    interrupt: InterruptHandle,
    /// The guest is gone, or has given up.
    gone: Arc<AtomicBool>,
    cpu: Arc<CpuTime>,
    /// This is there for as long as the connection.
    connected: Weak<()>,
}

type ConnectionWithPermit = (Connection, OwnedSemaphorePermit);

impl Guarded {
    pub async fn open(file: &Arc<File>) -> Result<Guarded, SqliteError> {
        let permit = timeout(OPEN_TIMEOUT, file.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(SqliteError::GivenUp(
                "all connections of this worker are in use, and none was given back in time (--limit-sql-connections)"
                    .to_owned(),
            ));
        };
        let gone = Arc::new(AtomicBool::new(false));
        let cpu = Arc::new(CpuTime::unbounded());
        let (opening, asked) = (file.clone(), (gone.clone(), cpu.clone()));
        let connected = Arc::new(());
        let weak = Arc::downgrade(&connected);
        let opened = in_thread(move || guarded(&opening, asked, connected)).await?;
        Ok(Guarded {
            file: file.clone(),
            interrupt: opened.get_interrupt_handle(),
            held: Some((opened, permit)),
            gone,
            cpu,
            connected: weak,
        })
    }

    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Runs a statement, whose rows may take this many bytes. It has the processor time that its request has left.
    pub async fn run(
        &mut self,
        statement: String,
        parameters: Vec<Value>,
        most: usize,
        budget: &CpuBudget,
    ) -> Result<QueryResult, SqliteError> {
        let (connection, permit) = self.held()?;
        let (cpu, left) = (self.cpu.clone(), budget.left());
        let work = in_thread(move || {
            let (result, used) =
                cpu.measure(left, || run(&connection, &statement, parameters, most));
            let result = result.map_err(|error| error.of(&connection));
            Ok(((connection, permit), result, used))
        });
        match timeout(self.file.answer, work).await {
            Ok(done) => {
                let (held, result, used) = done?;
                self.held = Some(held);
                budget.add(used);
                match result {
                    Err(_) if used >= left => Err(SqliteError::Other(CPU_USED_UP.to_owned())),
                    result => result,
                }
            }
            Err(_) => {
                self.give_up();
                Err(SqliteError::GivenUp(format!(
                    "a statement took longer than {:?} (--timeout-sql)",
                    self.file.answer
                )))
            }
        }
    }

    /// Ends what runs. SQLite forgets an interrupt that comes before a statement has begun, so the statement looks for
    /// itself, too.
    fn give_up(&self) {
        if self.gone.swap(true, Relaxed) {
            return;
        }
        self.interrupt.interrupt();
        let file = self.file.clone();
        stuck::watch(self.connected.clone(), move || {
            let name = log::escape(&file.name);
            about_guests::tell!(
                "a statement in database `{name}` was given up and does not end: this worker is replaced"
            );
        });
    }

    fn held(&mut self) -> Result<ConnectionWithPermit, SqliteError> {
        let gone = "an earlier statement was given up on; open another connection";
        self.held.take().ok_or(SqliteError::Other(gone.to_owned()))
    }

    /// Asks the connection for what it knows without waiting.
    pub fn known<T>(&self, ask: impl FnOnce(&Connection) -> T) -> Option<T> {
        self.held.as_ref().map(|(connection, _)| ask(connection))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        match self.held.take() {
            // Closing it rolls back, which may wait for the disk.
            Some(held) => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(held))),
                Err(_) => drop(held),
            },
            None => self.give_up(),
        }
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SqliteError> + Send + 'static,
) -> Result<T, SqliteError> {
    let ended = |_| SqliteError::Other("the statement could not be run".to_owned());
    spawn_blocking(work).await.map_err(ended)?
}

/// Connects to a file, which is made where it may be. What is acknowledged is on disk.
pub fn connect(path: &Path, may_make: bool, heap: usize) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_make);
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "full")?;
    // The sandbox has no place for files of its own.
    connection.pragma_update(None, "temp_store", "memory")?;
    // This lowers it alone.
    let heap = i64::try_from(heap).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "hard_heap_limit", heap, |_| Ok(()))?;
    Ok(connection)
}

/// Connects for a guest, to the file that was there from the beginning.
fn guarded(
    File { file, heap, .. }: &File,
    (gone, cpu): (Arc<AtomicBool>, Arc<CpuTime>),
    connected: Arc<()>,
) -> Result<Connection, SqliteError> {
    // Connecting reads what is beside the file, and there may be another one when that is done.
    file.check().map_err(SqliteError::Damaged)?;
    let mut connection = connect(file.path(), false, *heap)?;
    file.check().map_err(SqliteError::Damaged)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.authorizer(Some(authorize))?;
    let is_unwanted = move || {
        // The connection has it for as long as it has this.
        let _ = &connected;
        gone.load(Relaxed) || cpu.is_used_up()
    };
    connection.progress_handler(LOOK, Some(is_unwanted))?;
    Ok(connection)
}

fn run(
    connection: &Connection,
    statement: &str,
    parameters: Vec<Value>,
    most: usize,
) -> Result<QueryResult, SqliteError> {
    let mut prepared = connection.prepare(statement)?;
    let columns = prepared.column_names();
    let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
    let parameters: Vec<Parameter> = parameters.into_iter().map(Parameter).collect();
    let mut rows = prepared.query(rusqlite::params_from_iter(parameters))?;
    let mut found = Vec::new();
    let mut left = most;
    while let Some(row) = next(&mut rows)? {
        let mut values = Vec::with_capacity(columns.len());
        for nth in 0..columns.len() {
            let value = row.get_ref(nth)?;
            let bytes = size_of::<Value>() + length(value);
            left = left.checked_sub(bytes).ok_or_else(too_large)?;
            values.push(told(value));
        }
        found.push(RowResult { values });
    }
    Ok(QueryResult {
        columns,
        rows: found,
    })
}

/// A statement of nothing but spaces and comments gives nothing; SQLite would call running it a misuse.
fn next<'a, 'b>(rows: &'a mut Rows<'b>) -> rusqlite::Result<Option<&'a Row<'b>>> {
    match rows.next() {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ApiMisuse) => Ok(None),
        next => next,
    }
}

fn too_large() -> SqliteError {
    SqliteError::GivenUp(
        "the result is more than the memory that is left (--max-memory)".to_owned(),
    )
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
    }
}

fn told(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        // SQLite takes any bytes for text.
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// A `Parameter` is a guest's value on its way into a statement.
struct Parameter(Value);

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
            Value::Integer(number) => ToSqlOutput::Owned(Owned::Integer(*number)),
            Value::Real(number) => ToSqlOutput::Owned(Owned::Real(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Null => ToSqlOutput::Owned(Owned::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Files, SqliteSettings};
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    fn a_statement_whose_guest_is_gone_before_it_begins_ends_too() {
        let name = format!("wasmserve-gone-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let settings = SqliteSettings {
            databases: vec![("app".to_owned(), directory.join("app.db"))],
            connections: 1,
            answer: Duration::from_secs(60),
        };
        let files = Files::open(&settings, usize::MAX).unwrap();
        let file = files.file("app").unwrap();
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().max_blocking_threads(1).build();
        let runtime = runtime.unwrap();
        let again = runtime.block_on(async {
            let mut guarded = Guarded::open(file).await.unwrap();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let busy = spawn_blocking(move || released.recv());
            let endless = "with recursive c(n) as (select 1 union all select n + 1 from c) \
                           select count(*) from c";
            let budget = CpuBudget::new(Duration::MAX);
            let asked = guarded.run(endless.to_owned(), Vec::new(), 1 << 20, &budget);
            assert!(timeout(Duration::ZERO, asked).await.is_err());
            drop(guarded);
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            // There is one thread and one connection: both are free when the statement has ended.
            Guarded::open(file).await.map(drop)
        });
        // It does not wait for a statement that has not ended.
        runtime.shutdown_background();
        std::fs::remove_dir_all(&directory).unwrap();
        again.unwrap();
    }
}
