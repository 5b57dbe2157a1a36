//! One statement is sent with its parameters, and its rows are read as they come, this many bytes of them at most.

use super::bounded::TOO_LARGE;
use super::connect::PostgresSession;
use super::error::PostgresError;
use super::interface::wit::{Column, DbValue};
use super::parameter::Parameter;
use super::room::Room;
use super::value::{data_type, values};
use futures_util::StreamExt;
use std::pin::pin;
use tokio_postgres::types::Type;

/// After this many bytes of rows the worker does something else first.
const AT_A_TIME: usize = 1 << 20;

/// A parameter is sent with its type.
pub type Typed = (Parameter, Type);

/// `RowsWanted` says what is wanted of an answer.
#[derive(Clone, Copy)]
pub struct RowsWanted {
    /// The rows may take this many bytes.
    pub most: usize,
    /// The columns are wanted, where there are no rows too.
    pub columns: bool,
}

/// A `StatementResult` is all that a statement gave.
pub struct StatementResult {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<DbValue>>,
    /// This many rows were changed, or given.
    pub affected: u64,
}

/// Runs a statement over a session. Where it fails with `GivenUp`, more is on its way over the session.
pub async fn run(
    session: &PostgresSession,
    statement: &str,
    parameters: Vec<Typed>,
    wanted: RowsWanted,
) -> Result<StatementResult, PostgresError> {
    if statement.contains('\0') {
        let why = "the statement has a byte 0, which no text of PostgreSQL's may have";
        return Err(PostgresError::Parameter(why.to_owned()));
    }
    let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
    let failed = |error| PostgresError::of(&error, session.lost());
    let stream = session.client.query_typed_raw(statement, parameters).await;
    let mut stream = pin!(stream.map_err(failed)?);
    let mut answer = StatementResult {
        columns: Vec::new(),
        rows: Vec::new(),
        affected: 0,
    };
    let room = Room::new(wanted.most);
    let mut told = room.left();
    while let Some(row) = stream.next().await {
        let row = row.map_err(failed)?;
        if answer.rows.is_empty() {
            answer.columns = columns(row.columns());
        }
        let taken = row.raw_size_bytes() + row.len() * size_of::<DbValue>() + size_of::<Vec<()>>();
        let values = match room.take(taken) {
            Some(()) => {
                values(&row, &room).map_err(|error| PostgresError::Value(error.to_string()))?
            }
            None => Vec::new(),
        };
        if room.is_exceeded() {
            return Err(PostgresError::GivenUp(TOO_LARGE.to_owned()));
        }
        answer.rows.push(values);
        // Rows that are there already would be read on and on, and others wait.
        if told - room.left() > AT_A_TIME {
            told = room.left();
            tokio::task::yield_now().await;
        }
    }
    answer.affected = stream.rows_affected().unwrap_or(0);
    if wanted.columns && answer.rows.is_empty() {
        // The client tells them with the first row only; the server describes the statement without running it.
        let described = session.client.prepare_typed(statement, &types).await;
        answer.columns = described.map_or(Vec::new(), |described| columns(described.columns()));
    }
    Ok(answer)
}

fn columns(all: &[tokio_postgres::Column]) -> Vec<Column> {
    let all = all.iter().map(|column| Column {
        name: column.name().to_owned(),
        data_type: data_type(column.type_()),
    });
    all.collect()
}
