//! What a database has answered a guest is recorded with its request, and given again without a database.

use super::database_error::{DatabaseError, DriverError};
use super::recorded_values::{self, encoded, note};
use super::state::HostState;
use crate::guest::recording::{Recorder, digest_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use wasmtime::component::Resource;

/// A guest that has gone another way is told this.
pub const NOT_RECORDED: &str = "no database is asked while a request is replayed";

/// A `RecordedError` of a kind of database is told to guests, and recorded, as one of the interface.
pub trait RecordedError: DriverError + Sized {
    type Told: Serialize + DeserializeOwned + Debug;

    fn told(self) -> Self::Told;

    /// Makes the failure that is told like this.
    fn again(told: Self::Told) -> Self;

    /// Makes the failure of a guest that has gone another way.
    fn not_recorded() -> Self;
}

/// Says what a call is called. The values of its parameters may be secrets, and are not told.
pub fn called<P: Serialize>(call: &str, name: &str, statement: &str, parameters: &[P]) -> String {
    let digest = digest_of(&encoded(parameters));
    let count = parameters.len();
    match count {
        0 => format!("{call} {name} {statement}").trim_end().to_owned(),
        _ => format!("{call} {name} {statement} ({count} parameters, {digest})"),
    }
}

/// Gives the recorded answer to a call, or waits in vain for it; `None` where the database is to answer.
pub async fn again<T: DeserializeOwned, F: RecordedError>(
    recorder: Option<Arc<Recorder>>,
    called: &str,
) -> Option<Result<T, DatabaseError<F>>> {
    let recorder = recorder?;
    if !recorder.is_replayed() {
        recorder.ask_host(called);
        return None;
    }
    let recorded = recorded_values::again(&recorder, called).await;
    let answer: Result<T, F> = match recorded {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(told)) => Err(F::again(told)),
        None => Err(F::not_recorded()),
    };
    Some(answer.map_err(DatabaseError::Failed))
}

impl HostState {
    /// Notes what a database has answered, where the request is recorded.
    pub fn note_database<T: Serialize + Debug, F: RecordedError>(
        &self,
        called: String,
        answer: Result<T, DatabaseError<F>>,
    ) -> Result<T, DatabaseError<F>> {
        let Some(recorder) = self.recorder() else {
            return answer;
        };
        match answer {
            Ok(answer) => {
                note(recorder, called, &Ok::<&T, &F::Told>(&answer));
                Ok(answer)
            }
            Err(DatabaseError::Failed(failure)) => {
                let told = failure.told();
                note(recorder, called, &Err::<&T, &F::Told>(&told));
                Err(DatabaseError::Failed(F::again(told)))
            }
            Err(trap) => Err(trap),
        }
    }

    /// Notes whether a database could be opened, where the request is recorded.
    pub fn note_opened<C: 'static, F: RecordedError>(
        &self,
        called: String,
        opened: Result<Resource<C>, DatabaseError<F>>,
    ) -> Result<Resource<C>, DatabaseError<F>> {
        let mut connection = None;
        let answer = opened.map(|opened| connection = Some(opened));
        self.note_database(called, answer)?;
        connection.ok_or_else(|| DatabaseError::Failed(F::not_recorded()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_apart_and_not_told() {
        let one = called("execute", "app", "select ?", &["secret".to_owned()]);
        let other = called("execute", "app", "select ?", &["secrets".to_owned()]);
        assert!(
            one.starts_with("execute app select ? (1 parameters, "),
            "{one}"
        );
        assert!(one != other && !one.contains("secret"), "{one}");
    }
}
