//! Guests call these functions of `spin:postgres@4.0.0`.

use super::error::PostgresError;
use super::parameter::parameters;
pub use super::pool::Lent;
use super::statement::{RowsWanted, StatementResult};
use crate::guest::host::database_error::{DatabaseError, log_ungranted, logged};
use crate::guest::host::recorded_database::{NOT_RECORDED, RecordedError, again, called};
use crate::guest::host::state::HostState;
use crate::guest::recording::digest_of;
use crate::log;
use spin::postgres::postgres;
pub use spin::postgres::postgres as wit;
use wasmtime::component::{HasSelf, Linker, Resource};
use wit::{ParameterValue, RowSet};

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmserve:guest/with-postgres",
    imports: { default: async | trappable },
    with: { "spin:postgres/postgres.connection": Lent },
    trappable_error_type: { "spin:postgres/postgres.error" => Error },
    additional_derives: [serde::Serialize, serde::Deserialize],
});

pub type Error = DatabaseError<PostgresError>;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl RecordedError for PostgresError {
    type Told = wit::Error;

    fn told(self) -> wit::Error {
        self.into()
    }

    fn again(told: wit::Error) -> PostgresError {
        PostgresError::Told(told)
    }

    fn not_recorded() -> PostgresError {
        PostgresError::Connection(NOT_RECORDED.to_owned())
    }
}

impl HostState {
    /// Lends the guest a connection to the database of this name.
    async fn lent(&mut self, address: &str) -> Result<Resource<Lent>, Error> {
        let pool = self.postgres().pool(address).cloned();
        let Some(pool) = pool else {
            let why = unknown(address);
            log_ungranted(&why);
            return Err(PostgresError::Connection(why).into());
        };
        let lent = logged(&pool.name, pool.lend().await)?;
        Ok(self.table_mut().push(lent)?)
    }

    /// Says what a call is called, where it is recorded.
    fn postgres_call(
        &self,
        call: &str,
        connection: &Resource<Lent>,
        statement: &str,
        given: &[ParameterValue],
    ) -> Option<String> {
        self.recorder()?;
        let known = || Some(self.table().get(connection).ok()?.pool().name.as_str());
        let name = self.stood_in_for(connection).or_else(known)?;
        let call = format!("spin:postgres {call}");
        Some(called(&call, name, statement, given))
    }

    async fn queried(
        &mut self,
        connection: &Resource<Lent>,
        statement: &str,
        given: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let answer = self.run(connection, statement, given, true).await?;
        let StatementResult { columns, rows, .. } = answer;
        Ok(RowSet { columns, rows })
    }

    async fn changed(
        &mut self,
        connection: &Resource<Lent>,
        statement: &str,
        given: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let answer = self.run(connection, statement, given, false).await?;
        Ok(answer.affected)
    }

    async fn run(
        &mut self,
        connection: &Resource<Lent>,
        statement: &str,
        given: Vec<ParameterValue>,
        columns: bool,
    ) -> Result<StatementResult, Error> {
        // The guest has a copy of them beside the host's.
        let most = self.memory().left() / 2;
        let lent = self.table_mut().get_mut(connection)?;
        let typed = parameters(given).map_err(PostgresError::Parameter)?;
        let answer = lent
            .run(statement, typed, RowsWanted { most, columns })
            .await;
        logged(&lent.pool().name, answer)
    }
}

fn is_url(asked: &str) -> bool {
    asked.contains("://") || asked.contains('=')
}

/// Says why a guest has no such database. What it asks for may be a URL with a password, and is not repeated then.
fn unknown(asked: &str) -> String {
    match is_url(asked) {
        true => "a URL of the guest's own is not connected to; grant the database with --postgres NAME=URL, and open \
                 it by the name"
            .to_owned(),
        false => format!(
            "there is no database `{}`; --postgres {0}=postgres://USER:PASSWORD@HOST/DATABASE would grant it",
            log::escape(asked)
        ),
    }
}

impl postgres::Host for HostState {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<wit::Error> {
        match error {
            Error::Failed(failure) => Ok(failure.into()),
            Error::Trap(error) => Err(error.into()),
        }
    }
}

/// Names what a guest asks for, without a password.
fn asked_for(address: &str) -> String {
    match is_url(address) {
        true => format!("a URL ({})", digest_of(address.as_bytes())),
        false => address.to_owned(),
    }
}

impl postgres::HostConnection for HostState {
    async fn open(&mut self, address: String) -> Result<Resource<Lent>, Error> {
        if self.recorder().is_none() {
            return self.lent(&address).await;
        }
        let name = asked_for(&address);
        let called = format!("spin:postgres open {name}");
        if let Some(answer) = again::<(), PostgresError>(self.recorder().cloned(), &called).await {
            answer?;
            return Ok(self.stand_in(name)?);
        }
        let opened = self.lent(&address).await;
        self.note_opened(called, opened)
    }

    async fn query(
        &mut self,
        connection: Resource<Lent>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let called = self.postgres_call("query", &connection, &statement, &params);
        let Some(called) = called else {
            return self.queried(&connection, &statement, params).await;
        };
        if let Some(answer) = again(self.recorder().cloned(), &called).await {
            return answer;
        }
        let answer = self.queried(&connection, &statement, params).await;
        self.note_database(called, answer)
    }

    async fn execute(
        &mut self,
        connection: Resource<Lent>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let called = self.postgres_call("execute", &connection, &statement, &params);
        let Some(called) = called else {
            return self.changed(&connection, &statement, params).await;
        };
        if let Some(answer) = again(self.recorder().cloned(), &called).await {
            return answer;
        }
        let answer = self.changed(&connection, &statement, params).await;
        self.note_database(called, answer)
    }

    async fn drop(&mut self, connection: Resource<Lent>) -> wasmtime::Result<()> {
        self.close(connection)
    }
}
