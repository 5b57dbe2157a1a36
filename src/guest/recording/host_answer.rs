//! A `HostAnswer` is what the host has answered to a call that brings values of any kind: of a store, a directory, a
//! database. What the words mean is known where the host answers.

use crate::log;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many bytes are printed, of those that an answer has beside its words.
const PRINTED: usize = 60;

/// A `HostAnswer` is one call with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// The interface and the call, with all that tells it from others.
    pub called: String,
    /// The answer, in words that can be read again.
    pub words: String,
    /// The answer has so many bytes beside its words.
    pub(super) length: usize,
    /// The bytes stand behind the bodies in a file.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl HostAnswer {
    pub fn new(called: String, words: String, bytes: Bytes) -> HostAnswer {
        HostAnswer {
            called,
            words,
            length: bytes.len(),
            bytes,
        }
    }

    /// Counts the bytes that it holds.
    pub fn length(&self) -> usize {
        self.called.len() + self.words.len() + self.bytes.len()
    }
}

impl fmt::Display for HostAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostAnswer { called, words, .. } = self;
        write!(f, "{} -> {}", log::escape(called), log::escape(words))?;
        if self.length == 0 {
            return Ok(());
        }
        write!(f, ", {} bytes", self.length)?;
        let beginning = &self.bytes[..self.bytes.len().min(PRINTED)];
        let beginning = String::from_utf8_lossy(beginning);
        let is_strange = |letter: char| letter.is_control() && !letter.is_ascii_whitespace();
        if beginning.contains(is_strange) {
            return Ok(());
        }
        let more = if self.length > PRINTED { "…" } else { "" };
        write!(f, ": {}{more}", log::escape(&beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_printed_with_the_beginning_of_its_bytes_where_they_are_text() {
        let answer = |bytes: &str| {
            let bytes = Bytes::copy_from_slice(bytes.as_bytes());
            HostAnswer::new("read /a\n".to_owned(), "true".to_owned(), bytes).to_string()
        };
        assert_eq!(answer(""), "read /a\\n -> true");
        assert_eq!(answer("x\0y"), "read /a\\n -> true, 3 bytes");
        assert_eq!(answer("x\ny"), "read /a\\n -> true, 3 bytes: x\\ny");
        assert!(answer(&"é".repeat(60)).ends_with("é…"));
    }
}
