//! What the host says, as a guest is told it: an error that the interface has no code for traps.

use std::error::Error;
use wasmtime_wasi::TrappableError;

/// Gives the guest's own error, if it is one.
pub fn coded<T, E: Error + Send + Sync + 'static>(
    result: Result<T, TrappableError<E>>,
) -> wasmtime::Result<Result<T, E>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

/// Tells the guest.
pub fn told<T, E: Error + Send + Sync + 'static>(
    result: Result<T, TrappableError<E>>,
) -> wasmtime::Result<(Result<T, E>,)> {
    Ok((coded(result)?,))
}
