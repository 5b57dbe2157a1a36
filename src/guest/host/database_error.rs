//! What goes wrong with a database is an error of the guest's, and a line of the log where it is the operator's to mend.

use super::about_guests;
use crate::log;
use wasmtime::component::ResourceTableError;

/// A `DriverError` of a kind of database says whether the operator is to hear of it.
pub trait DriverError {
    /// Returns what the operator is told; `None` where the statement itself was wrong.
    fn for_operator(&self) -> Option<&str>;
}

/// A `DatabaseError` is what a call of a guest ends with.
pub enum DatabaseError<F> {
    Failed(F),
    /// The guest broke the rules of its resources.
    Trap(ResourceTableError),
}

impl<F> From<ResourceTableError> for DatabaseError<F> {
    fn from(error: ResourceTableError) -> DatabaseError<F> {
        DatabaseError::Trap(error)
    }
}

impl<F: DriverError> From<F> for DatabaseError<F> {
    fn from(failure: F) -> DatabaseError<F> {
        DatabaseError::Failed(failure)
    }
}

/// Logs a failure of the database of this name, where the operator is to hear of it.
pub fn logged<T, F: DriverError>(name: &str, result: Result<T, F>) -> Result<T, DatabaseError<F>> {
    if let Err(failure) = &result
        && let Some(why) = failure.for_operator()
    {
        about_guests::tell!(
            "database `{}` failed a guest: {}",
            log::escape(name),
            log::escape(why)
        );
    }
    result.map_err(DatabaseError::Failed)
}

/// Logs that a guest has no database of the name that it asks for.
pub fn log_ungranted(why: &str) {
    about_guests::tell!("a guest asks for a database that it was not granted: {why}");
}
