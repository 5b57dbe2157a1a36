//! wasmserve ends with one of these statuses, and an error carries its own.

use std::fmt;

/// A `Status` is what the end of the process says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server stopped as asked.
    Stopped = 0,
    /// There was an internal error.
    Internal = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The application cannot start.
    Application = 3,
    /// An address cannot be bound.
    Address = 4,
    /// A child found compiled code to be damaged. No server ends with it.
    DamagedCode = 5,
    /// A compiler found no room for its code where that was to be kept. No server ends with it.
    NoRoom = 6,
}

impl Status {
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Finds the status of this code; an internal error where there is none.
    pub fn of_code(code: i32) -> Status {
        match code {
            0 => Status::Stopped,
            2 => Status::Usage,
            3 => Status::Application,
            4 => Status::Address,
            5 => Status::DamagedCode,
            6 => Status::NoRoom,
            _ => Status::Internal,
        }
    }
}

/// A `Marked` error knows the status to end with. It reads as the error itself.
#[derive(Debug)]
struct Marked {
    status: Status,
    error: anyhow::Error,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Marked {}

/// Marks errors with the status that they end the process with.
pub trait Exit<T> {
    fn exits(self, status: Status) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Exit<T> for Result<T, E> {
    fn exits(self, status: Status) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            anyhow::Error::new(Marked { status, error })
        })
    }
}

/// Finds the status that an error ends the process with.
pub fn status_of(error: &anyhow::Error) -> Status {
    error
        .downcast_ref::<Marked>()
        .map_or(Status::Internal, |marked| marked.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_keeps_its_status_and_its_words() {
        let error: anyhow::Result<()> = Err(anyhow::anyhow!("inner")).context("outer");
        let error = error.exits(Status::Address).context("around").unwrap_err();
        assert_eq!(status_of(&error), Status::Address);
        assert_eq!(format!("{error:#}"), "around: outer: inner");
        assert_eq!(status_of(&anyhow::anyhow!("plain")), Status::Internal);
    }
}
