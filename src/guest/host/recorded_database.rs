//! What a database has answered a guest is recorded with its request, and given again without a database.

use super::database_error::{DatabaseError, DriverError};
use super::state::HostState;
use crate::guest::recording::{MOST_BYTES, Recorder, digest_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug, Write};
use std::sync::Arc;
use wasmtime::component::Resource;

/// So many letters of an answer are written for people to read.
const SHOWN: usize = 160;

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
    let recorded = recorder.host_answer_in_time(called).await;
    let read = recorded.and_then(|answer| postcard::from_bytes(&answer.bytes).ok());
    let answer: Result<T, F> = match read {
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

fn note<A: Serialize + Debug>(recorder: &Recorder, called: String, answer: &A) {
    recorder.note_host_answer(called, shown(answer), &encoded(answer));
}

/// Encodes a value, or the beginning of one that has too many bytes for a recording.
fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let bytes = postcard::to_extend(value, Bounded(Vec::new()));
    bytes.map(|Bounded(bytes)| bytes).unwrap_or_default()
}

/// `Bounded` takes little more bytes than may be recorded, so that it is seen that there were more: what is in no
/// recording is not copied for one.
struct Bounded(Vec<u8>);

impl Extend<u8> for Bounded {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let left = (MOST_BYTES + 1).saturating_sub(self.0.len());
        self.0.extend(bytes.into_iter().take(left));
    }
}

/// Writes the beginning of an answer as people read it.
fn shown(answer: &impl Debug) -> String {
    let mut text = Beginning(String::new());
    match write!(text, "{answer:?}") {
        Ok(()) => text.0,
        Err(_) => text.0 + "…",
    }
}

/// A `Beginning` takes no more than is shown.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.0.len() >= SHOWN {
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_are_shown_by_their_beginning() {
        assert_eq!(shown(&Some(1)), "Some(1)");
        let long = shown(&"é".repeat(1000));
        assert!(long.ends_with("é…") && long.len() < SHOWN + 8, "{long}");
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_copied_as_a_whole() {
        let answer: Result<Vec<u8>, String> = Ok(vec![7; 100]);
        let read = postcard::from_bytes(&encoded(&answer));
        assert_eq!(read, Ok(answer));
        let long = "x".repeat(2 * MOST_BYTES);
        assert_eq!(encoded(&(&long, &long)).len(), MOST_BYTES + 1);
    }

    /// A recording may be damaged in a way that its digest does not show.
    #[test]
    fn answers_that_are_damaged_are_refused_or_read_and_nothing_worse() {
        type Answer = Result<(Vec<String>, Vec<f64>), Option<String>>;
        let texts = vec!["a".to_owned(), "\u{e9}".to_owned()];
        let answer: Answer = Ok((texts, vec![0.1, f64::NAN]));
        let bytes = encoded(&answer);
        let (mut refused, mut read) = (0, 0);
        for at in 0..bytes.len() {
            assert!(postcard::from_bytes::<Answer>(&bytes[..at]).is_err());
            for flip in [1, 4, 32, 128, 255] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                match postcard::from_bytes::<Answer>(&damaged) {
                    Ok(_) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 0 && read > 0, "{refused} {read}");
    }

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
