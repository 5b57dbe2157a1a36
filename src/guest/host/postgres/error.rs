//! What goes wrong with a database is told to the guest, and what is the operator's to mend is told in the log. The
//! connection URL is in none of it.

use super::interface::wit::{self, DbError, QueryError};
use crate::guest::host::database_error;
use std::error::Error as _;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError as StatementResult, Severity};

/// A `PostgresError` says why something could not be done.
#[derive(Debug)]
pub enum PostgresError {
    /// The database is not there, or not any more.
    Connection(String),
    Parameter(String),
    /// The database has answered with an error.
    Refused(Box<StatementResult>),
    /// The statement was given up on.
    GivenUp(String),
    Value(String),
    /// The guest was told this, which is recorded.
    Told(wit::Error),
}

impl PostgresError {
    /// Tells what happened to a connection that `lost` may say more about.
    pub fn of(error: &Error, lost: Option<&String>) -> PostgresError {
        match (error.as_db_error(), lost) {
            (Some(answer), _) => PostgresError::Refused(Box::new(answer.clone())),
            (None, Some(why)) => PostgresError::Connection(why.clone()),
            (None, None) => PostgresError::Connection(sentence(error)),
        }
    }
}

/// Puts an error and what caused it in one sentence.
pub fn sentence(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return cut(answer.message());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let why = error.to_string();
        if !text.contains(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        source = error.source();
    }
    text
}

impl database_error::DriverError for PostgresError {
    fn for_operator(&self) -> Option<&str> {
        match self {
            PostgresError::Connection(why) | PostgresError::GivenUp(why) => Some(why),
            // The statement is not to blame: the server ends the connection (PostgreSQL's documentation, table
            // "Message Severity Levels").
            PostgresError::Refused(answer) if ends_connection(answer) => Some(answer.message()),
            PostgresError::Parameter(_)
            | PostgresError::Refused(_)
            | PostgresError::Value(_)
            | PostgresError::Told(_) => None,
        }
    }
}

fn ends_connection(answer: &StatementResult) -> bool {
    matches!(
        answer.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    )
}

impl From<PostgresError> for wit::Error {
    fn from(failure: PostgresError) -> wit::Error {
        match failure {
            PostgresError::Connection(why) => wit::Error::ConnectionFailed(why),
            PostgresError::Parameter(why) => wit::Error::BadParameter(why),
            PostgresError::Told(told) => told,
            PostgresError::Refused(answer) => {
                wit::Error::QueryFailed(QueryError::DbError(told(&answer)))
            }
            PostgresError::GivenUp(why) => wit::Error::QueryFailed(QueryError::Text(why)),
            PostgresError::Value(why) => wit::Error::ValueConversionFailed(why),
        }
    }
}

/// The guest is told this many bytes of each text of an error: what a statement holds may be in several of them.
const TOLD: usize = 16 << 10;

fn cut(text: &str) -> String {
    match text.len() > TOLD {
        true => format!("{}…", &text[..text.floor_char_boundary(TOLD)]),
        false => text.to_owned(),
    }
}

fn told(answer: &StatementResult) -> DbError {
    let extras = [
        ("hint", answer.hint()),
        ("where", answer.where_()),
        ("schema", answer.schema()),
        ("table", answer.table()),
        ("column", answer.column()),
        ("datatype", answer.datatype()),
        ("constraint", answer.constraint()),
    ];
    let extras = extras
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), cut((*value)?))));
    DbError {
        as_text: cut(&answer.to_string()),
        severity: cut(answer.severity()),
        code: cut(answer.code().code()),
        message: cut(answer.message()),
        detail: answer.detail().map(cut),
        extras: extras.collect(),
    }
}
