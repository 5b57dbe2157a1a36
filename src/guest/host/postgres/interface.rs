//! Guests call these functions of `spin:postgres@4.0.0`.

use super::error::PostgresError;
use super::parameter::parameters;
pub use super::pool::Lent;
use super::statement::{RowsWanted, StatementResult};
use crate::guest::host::database_error::{DatabaseError, log_ungranted, logged};
use crate::guest::host::state::HostState;
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
});

pub type Error = DatabaseError<PostgresError>;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl HostState {
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

/// Says why a guest has no such database. What it asks for may be a URL with a password, and is not repeated then.
fn unknown(asked: &str) -> String {
    match asked.contains("://") || asked.contains('=') {
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

impl postgres::HostConnection for HostState {
    async fn open(&mut self, address: String) -> Result<Resource<Lent>, Error> {
        let pool = self.postgres().pool(&address).cloned();
        let Some(pool) = pool else {
            let why = unknown(&address);
            log_ungranted(&why);
            return Err(PostgresError::Connection(why).into());
        };
        let lent = logged(&pool.name, pool.lend().await)?;
        Ok(self.table_mut().push(lent)?)
    }

    async fn query(
        &mut self,
        connection: Resource<Lent>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let answer = self.run(&connection, &statement, params, true).await?;
        let StatementResult { columns, rows, .. } = answer;
        Ok(RowSet { columns, rows })
    }

    async fn execute(
        &mut self,
        connection: Resource<Lent>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        Ok(self
            .run(&connection, &statement, params, false)
            .await?
            .affected)
    }

    async fn drop(&mut self, connection: Resource<Lent>) -> wasmtime::Result<()> {
        self.table_mut().delete(connection)?;
        Ok(())
    }
}
