//! What stores and databases answer stands in a recording in binary form, with its beginning in words for people.

use crate::guest::recording::{MOST_BYTES, Recorder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug, Write};

/// So many letters of an answer are written for people to read.
const SHOWN: usize = 160;

/// Gives the recorded answer to a call, or waits in vain for it; `None` where there is none of this kind.
pub async fn again<A: DeserializeOwned>(recorder: &Recorder, called: &str) -> Option<A> {
    let recorded = recorder.host_answer_in_time(called).await?;
    postcard::from_bytes(&recorded.bytes).ok()
}

/// Notes what the host has answered.
pub fn note<A: Serialize + Debug>(recorder: &Recorder, called: String, answer: &A) {
    recorder.note_host_answer(called, shown(answer), &encoded(answer));
}

/// Encodes a value, or the beginning of one that has too many bytes for a recording.
pub fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
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
}
