//! Guests call these functions of `spin:sqlite@3.0.0`.

pub use super::connection::Guarded;
use super::connection::SqliteError;
use crate::guest::host::database_error::{DatabaseError, log_ungranted, logged};
use crate::guest::host::recorded_database::{NOT_RECORDED, RecordedError, again, called};
use crate::guest::host::state::HostState;
use crate::log;
use rusqlite::Connection as Native;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spin::sqlite::sqlite;
pub use spin::sqlite::sqlite as wit;
use std::fmt::Debug;
use wasmtime::component::{HasSelf, Linker, Resource};
use wit::{QueryResult, Value};

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmserve:guest/with-sqlite",
    imports: { default: async | trappable },
    with: { "spin:sqlite/sqlite.connection": Guarded },
    trappable_error_type: { "spin:sqlite/sqlite.error" => Error },
    additional_derives: [serde::Serialize, serde::Deserialize],
});

pub type Error = DatabaseError<SqliteError>;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl sqlite::Host for HostState {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<wit::Error> {
        match error {
            Error::Failed(failure) => Ok(failure.told()),
            Error::Trap(error) => Err(error.into()),
        }
    }
}

impl RecordedError for SqliteError {
    type Told = wit::Error;

    fn told(self) -> wit::Error {
        match self {
            SqliteError::NoSuchDatabase => wit::Error::NoSuchDatabase,
            SqliteError::Full => wit::Error::DatabaseFull,
            SqliteError::Denied => wit::Error::AccessDenied,
            SqliteError::Other(why)
            | SqliteError::ReadOnly(why)
            | SqliteError::Damaged(why)
            | SqliteError::GivenUp(why) => wit::Error::Io(why),
            SqliteError::Told(told) => told,
        }
    }

    fn again(told: wit::Error) -> SqliteError {
        SqliteError::Told(told)
    }

    fn not_recorded() -> SqliteError {
        SqliteError::Other(NOT_RECORDED.to_owned())
    }
}

impl HostState {
    async fn opened(&mut self, database: &str) -> Result<Resource<Guarded>, Error> {
        let Some(file) = self.sqlite().file(database).cloned() else {
            log_ungranted(&format!(
                "there is no database `{}`; --sqlite {0}=PATH would grant it",
                log::escape(database)
            ));
            return Err(SqliteError::NoSuchDatabase.into());
        };
        let opened = logged(database, Guarded::open(&file).await)?;
        Ok(self.table_mut().push(opened)?)
    }

    async fn executed(
        &mut self,
        connection: Resource<Guarded>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<QueryResult, Error> {
        // The guest has a copy of the rows beside the host's.
        let most = self.memory().left() / 2;
        let share = self.share().clone();
        let guarded = self.table_mut().get_mut(&connection)?;
        let result = guarded
            .run(statement, parameters, most, &share.budget)
            .await;
        logged(guarded.name(), result)
    }

    /// Says what a call is called, where it is recorded.
    fn sqlite_call(
        &self,
        call: &str,
        connection: &Resource<Guarded>,
        statement: &str,
        parameters: &[Value],
    ) -> Option<String> {
        self.recorder()?;
        let known = || Some(self.table().get(connection).ok()?.name());
        let name = self.stood_in_for(connection).or_else(known)?;
        let call = format!("spin:sqlite {call}");
        Some(called(&call, name, statement, parameters))
    }

    fn known_now<T: Default>(
        &self,
        connection: &Resource<Guarded>,
        ask: fn(&Native) -> T,
    ) -> Result<T, Error> {
        let guarded = self.table().get(connection)?;
        Ok(guarded.known(ask).unwrap_or_default())
    }

    /// Asks a connection for what it knows without waiting.
    async fn known<T: Default + Serialize + DeserializeOwned + Debug>(
        &mut self,
        call: &str,
        connection: &Resource<Guarded>,
        ask: fn(&Native) -> T,
    ) -> wasmtime::Result<T> {
        let answer = match self.sqlite_call(call, connection, "", &[]) {
            None => self.known_now(connection, ask),
            Some(called) => match again(self.recorder().cloned(), &called).await {
                Some(answer) => answer,
                None => {
                    let known = self.known_now(connection, ask);
                    self.note_database(called, known)
                }
            },
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(Error::Failed(_)) => Ok(T::default()),
            Err(Error::Trap(error)) => Err(error.into()),
        }
    }
}

impl sqlite::HostConnection for HostState {
    async fn open(&mut self, database: String) -> Result<Resource<Guarded>, Error> {
        if self.recorder().is_none() {
            return self.opened(&database).await;
        }
        let called = format!("spin:sqlite open {database}");
        if let Some(answer) = again::<(), SqliteError>(self.recorder().cloned(), &called).await {
            answer?;
            return Ok(self.stand_in(database)?);
        }
        let opened = self.opened(&database).await;
        self.note_opened(called, opened)
    }

    async fn execute(
        &mut self,
        connection: Resource<Guarded>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<QueryResult, Error> {
        let called = self.sqlite_call("execute", &connection, &statement, &parameters);
        let Some(called) = called else {
            return self.executed(connection, statement, parameters).await;
        };
        if let Some(answer) = again(self.recorder().cloned(), &called).await {
            return answer;
        }
        let answer = self.executed(connection, statement, parameters).await;
        self.note_database(called, answer)
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<i64> {
        self.known("last-insert-rowid", &connection, Native::last_insert_rowid)
            .await
    }

    async fn changes(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<u64> {
        self.known("changes", &connection, Native::changes).await
    }

    async fn drop(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<()> {
        self.close(connection)
    }
}
