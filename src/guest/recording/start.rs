//! What the application was given when it was primed: instances begin after that, so that a replay primes one alike.

use super::asked::WrittenAnswer;
use super::file::{append, attach};
use super::journal::{Event, Journal};
use super::recorder::Recorder;
use anyhow::{Context, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// A `Start` is kept beside the snapshot, and in each recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub seed: String,
    pub events: Vec<Event>,
    pub answers: Vec<WrittenAnswer>,
}

impl Start {
    /// Writes it down.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        append(&mut bytes, &self.answers, &self.events);
        Ok(bytes)
    }

    /// Reads what was written; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Start> {
        let mut rest = Bytes::copy_from_slice(bytes);
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let json = rest.split_to(end);
        let mut start: Start = serde_json::from_slice(&json).ok()?;
        let mut rest = rest.slice(1..);
        attach(&mut rest, &mut start.answers, &mut start.events)?;
        rest.is_empty().then_some(start)
    }
}

impl Recorder {
    /// Begins to record what the application is given when it is primed, with or without secrets.
    pub fn start(secrets: bool) -> Arc<Recorder> {
        Arc::new(Recorder {
            secrets,
            ..Recorder::with(Journal::Written(Vec::new()))
        })
    }

    /// Begins to give the application the same again, which has these directories.
    pub fn start_again(
        start: &Start,
        directories: &[String],
        traced: bool,
    ) -> Result<Arc<Recorder>> {
        let seed = blake3::Hash::from_hex(&start.seed).ok();
        let seed = seed.context("the seed of its start is none")?;
        Ok(Arc::new(Recorder {
            seed: (*seed.as_bytes()).into(),
            again: Mutex::new(start.answers.clone().into()),
            directories: directories.to_vec(),
            is_replayed: true,
            ..Recorder::with(Journal::read(start.events.clone(), traced))
        }))
    }

    /// Puts together what the application was given; `None` where there was too much of it.
    pub fn started(&self) -> Option<Start> {
        let journal = self.journal();
        let Journal::Written(events) = &*journal else {
            return None;
        };
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = answers.iter();
        let answers = answers.map(|answer| answer.written(self.secrets, false));
        Some(Start {
            seed: self.seed_in_words(),
            events: events.clone(),
            answers: answers.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::recording::journal::Call;

    #[test]
    fn a_start_is_read_as_it_was_written_and_given_again() {
        let recorder = Recorder::start(false);
        recorder.note(Event::MonotonicNow(7));
        recorder.note_host_answer("get a".to_owned(), "words".to_owned(), b"x\ny");
        let start = recorder.started().unwrap();
        let bytes = start.bytes().unwrap();
        assert_eq!(Start::parse(&bytes).as_ref(), Some(&start));
        for length in 0..bytes.len() {
            assert_eq!(Start::parse(&bytes[..length]), None);
        }
        let again = Recorder::start_again(&start, &[], false).unwrap();
        let now = again.recorded(Call::MonotonicNow);
        assert_eq!(now, Some(Event::MonotonicNow(7)));
        assert_eq!(again.host_answer("get a").unwrap().bytes, "x\ny");
        assert_eq!(again.replayed(), (None, 2, 2));
    }
}
