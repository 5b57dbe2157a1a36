//! Guests call these functions of `spin:sqlite@3.0.0`.

pub use super::connection::Guarded;
use super::connection::SqliteError;
use crate::guest::host::database_error::{DatabaseError, log_ungranted, logged};
use crate::guest::host::state::HostState;
use crate::log;
use rusqlite::Connection as Native;
use spin::sqlite::sqlite;
pub use spin::sqlite::sqlite as wit;
use wasmtime::component::{HasSelf, Linker, Resource};
use wit::{QueryResult, Value};

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmserve:guest/with-sqlite",
    imports: { default: async | trappable },
    with: { "spin:sqlite/sqlite.connection": Guarded },
    trappable_error_type: { "spin:sqlite/sqlite.error" => Error },
});

pub type Error = DatabaseError<SqliteError>;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl sqlite::Host for HostState {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<wit::Error> {
        Ok(match error {
            Error::Failed(SqliteError::NoSuchDatabase) => wit::Error::NoSuchDatabase,
            Error::Failed(SqliteError::Full) => wit::Error::DatabaseFull,
            Error::Failed(SqliteError::Denied) => wit::Error::AccessDenied,
            Error::Failed(SqliteError::Other(why) | SqliteError::GivenUp(why)) => {
                wit::Error::Io(why)
            }
            Error::Trap(error) => return Err(error.into()),
        })
    }
}

impl sqlite::HostConnection for HostState {
    async fn open(&mut self, database: String) -> Result<Resource<Guarded>, Error> {
        let Some(file) = self.sqlite().file(&database).cloned() else {
            log_ungranted(&format!(
                "there is no database `{}`; --sqlite {0}=PATH would grant it",
                log::escape(&database)
            ));
            return Err(SqliteError::NoSuchDatabase.into());
        };
        let opened = logged(&database, Guarded::open(&file).await)?;
        Ok(self.table_mut().push(opened)?)
    }

    async fn execute(
        &mut self,
        connection: Resource<Guarded>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<QueryResult, Error> {
        // The guest has a copy of the rows beside the host's.
        let most = self.memory().left() / 2;
        let guarded = self.table_mut().get_mut(&connection)?;
        let result = guarded.run(statement, parameters, most).await;
        logged(guarded.name(), result)
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<i64> {
        let guarded = self.table().get(&connection)?;
        Ok(guarded.known(Native::last_insert_rowid).unwrap_or(0))
    }

    async fn changes(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<u64> {
        let guarded = self.table().get(&connection)?;
        Ok(guarded.known(Native::changes).unwrap_or(0))
    }

    async fn drop(&mut self, connection: Resource<Guarded>) -> wasmtime::Result<()> {
        self.table_mut().delete(connection)?;
        Ok(())
    }
}
