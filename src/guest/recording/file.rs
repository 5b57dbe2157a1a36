//! A recording is a file: a line that says what it is, a line of JSON, the bytes of bodies and answers, and a digest of all
//! that.

use super::answered::Answered;
use super::asked::WrittenAnswer;
use super::body::{Frames, Piece};
use super::given::Given;
use super::journal::Event;
use super::request::WrittenHead;
use super::start::Start;
use crate::sys::regular;
use anyhow::{Context, Result, bail, ensure};
use blake3::OUT_LEN;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A file begins with this line, whose number is that of the form.
const BEGIN: &str = "wasmserve recording ";
const VERSION: &str = "3";

/// Nothing that is larger is a recording.
const LARGEST: u64 = 64 << 20;

/// A `Recording` has what a request was given that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// This version of the program has recorded the request.
    pub wasmserve: String,
    /// The component has this digest.
    pub component: String,
    /// The operator called the component this.
    pub name: String,
    pub given: Given,
    /// The application was given this when it was primed.
    pub start: Option<Start>,
    pub failure: String,
    /// Failures with the same signature are the same.
    pub signature: String,
    pub backtrace: Option<String>,
    /// The guest has failed by answering this.
    pub answered: Option<Answered>,
    /// The time of the request was up after so many milliseconds.
    pub time_out: Option<u64>,
    /// The guest has written these lines to standard error, the last ones at least.
    pub said: Vec<String>,
    pub request: WrittenHead,
    pub bodiless: bool,
    pub seed: String,
    /// The guest has used this, whose answers are not in the recording.
    pub used: Vec<String>,
    pub events: Vec<Event>,
    pub pieces: Vec<Piece>,
    /// Other servers have answered this, in the order in which they were asked.
    pub answers: Vec<WrittenAnswer>,
    #[serde(skip)]
    pub body: Bytes,
}

/// Writes the bytes of answers, of other servers and of the host.
pub(super) fn append(bytes: &mut Vec<u8>, answers: &[WrittenAnswer], events: &[Event]) {
    for answer in answers {
        bytes.extend_from_slice(&answer.body);
    }
    for event in events {
        if let Event::Host(answer) = event {
            bytes.extend_from_slice(&answer.bytes);
        }
    }
}

/// Takes the bytes of answers from what stands behind them; `None` where there are too few.
pub(super) fn attach(
    rest: &mut Bytes,
    answers: &mut [WrittenAnswer],
    events: &mut [Event],
) -> Option<()> {
    let mut take = |length: usize| (length <= rest.len()).then(|| rest.split_to(length));
    for answer in answers {
        answer.body = take(Frames::length(&answer.pieces))?;
    }
    for event in events {
        if let Event::Host(answer) = event {
            answer.bytes = take(answer.length)?;
        }
    }
    Some(())
}

impl Recording {
    /// Writes the whole file.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = format!("{BEGIN}{VERSION}\n").into_bytes();
        serde_json::to_writer(&mut bytes, self)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        append(&mut bytes, &self.answers, &self.events);
        if let Some(start) = &self.start {
            append(&mut bytes, &start.answers, &start.events);
        }
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        Ok(bytes)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Recording> {
        let read = || Recording::parse(regular::read(path, LARGEST)?);
        read().with_context(|| format!("recording `{}`", path.display()))
    }

    pub(super) fn parse(bytes: Vec<u8>) -> Result<Recording> {
        const DAMAGED: &str = "it is damaged, or was cut off; copy it again";
        let mut bytes = Bytes::from(bytes);
        let Some(version) = bytes.strip_prefix(BEGIN.as_bytes()) else {
            bail!("it is no recording; name a file that --record-failures has written");
        };
        let end = version.iter().position(|byte| *byte == b'\n');
        let version = &version[..end.context(DAMAGED)?];
        if version != VERSION.as_bytes() {
            bail!(
                "it is of form {}, and this wasmserve reads form {VERSION}; replay it with the one that wrote it",
                String::from_utf8_lossy(version)
            );
        }
        let covered = bytes.len().checked_sub(OUT_LEN).context(DAMAGED)?;
        let digest = bytes.split_off(covered);
        ensure!(blake3::hash(&bytes).as_bytes()[..] == digest[..], DAMAGED);
        let _ = bytes.split_to(BEGIN.len() + VERSION.len() + 1);
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let json = bytes.split_to(end.context(DAMAGED)?);
        let mut recording: Recording = serde_json::from_slice(&json).context(DAMAGED)?;
        let mut rest = bytes.slice(1..);
        let length = Frames::length(&recording.pieces);
        ensure!(length <= rest.len(), DAMAGED);
        recording.body = rest.split_to(length);
        let Recording {
            answers,
            events,
            start,
            ..
        } = &mut recording;
        attach(&mut rest, answers, events).context(DAMAGED)?;
        if let Some(Start {
            answers, events, ..
        }) = start
        {
            attach(&mut rest, answers, events).context(DAMAGED)?;
        }
        ensure!(rest.is_empty(), DAMAGED);
        Ok(recording)
    }

    /// Returns the body in its frames.
    pub fn frames(&self) -> Result<Frames> {
        let frames = Frames::of(self.pieces.clone(), self.body.clone());
        frames.context("the frames of its body are not as long as the body")
    }

    /// Returns the seed of the random numbers.
    pub fn seed(&self) -> Result<[u8; 32]> {
        let hash = blake3::Hash::from_hex(&self.seed)
            .ok()
            .context("its seed is none")?;
        Ok(*hash.as_bytes())
    }

    /// Writes a seed down.
    pub fn hex(seed: &[u8; 32]) -> String {
        blake3::Hash::from_bytes(*seed).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::recording::answered::BodyDigest;
    use crate::guest::recording::host_answer::HostAnswer;
    use crate::guest::recording::recorder::Recorder;

    fn host(called: &str, words: &str, bytes: &'static [u8]) -> Event {
        let (called, words) = (called.to_owned(), words.to_owned());
        let answer = HostAnswer::new(called, words, Bytes::from_static(bytes));
        Event::Host(Box::new(answer))
    }

    fn recording() -> Recording {
        let answer = WrittenAnswer {
            status: Some(200),
            fields: Vec::new(),
            error: None,
            pieces: vec![Piece::Data(2)],
            body: Bytes::from_static(b"cd"),
        };
        Recording {
            wasmserve: "1.2.3".to_owned(),
            component: "c".repeat(64),
            name: "app.wasm".to_owned(),
            given: Given::default(),
            start: Some(Start {
                seed: Recording::hex(&[8; 32]),
                events: vec![host("get k", "", b"start")],
                answers: Vec::new(),
            }),
            failure: "it trapped".to_owned(),
            signature: "5".repeat(16),
            backtrace: Some("0: f\n1: g".to_owned()),
            answered: Some(Answered {
                status: 500,
                body: Some(BodyDigest {
                    bytes: 4,
                    digest: "6".repeat(16),
                }),
            }),
            time_out: Some(1000),
            said: vec!["ValueError: \u{e9}".to_owned()],
            request: WrittenHead {
                method: "GET".to_owned(),
                target: "http://localhost/".to_owned(),
                http2: false,
                fields: vec![("a".to_owned(), "\u{e9}\n".to_owned())],
                masked: Vec::new(),
            },
            bodiless: false,
            seed: Recording::hex(&[7; 32]),
            used: Vec::new(),
            events: vec![
                Event::MonotonicNow(1),
                Event::Poll(vec![0, 3]),
                host("read /a", "false", b"\xff\n"),
                host("stat /a", r#"{"Ok":3}"#, b""),
                host("read /b", "true", b"ab"),
            ],
            pieces: vec![Piece::Data(3), Piece::End],
            answers: vec![answer],
            body: Bytes::from_static(b"a\nb"),
        }
    }

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let recording = recording();
        let read = Recording::parse(recording.bytes().unwrap()).unwrap();
        assert_eq!(read, recording);
        assert_eq!(read.seed().unwrap(), [7; 32]);
        assert_eq!(read.frames().unwrap().data, [Bytes::from_static(b"a\nb")]);
    }

    /// Somebody may make a digest that fits.
    #[test]
    fn a_recording_whose_digest_fits_is_refused_or_replayed_whatever_it_says() {
        let bytes = recording().bytes().unwrap();
        let content = &bytes[..bytes.len() - OUT_LEN];
        let begin = BEGIN.len() + VERSION.len() + 1;
        let sealed = |mut content: Vec<u8>| {
            let digest = blake3::hash(&content);
            content.extend_from_slice(digest.as_bytes());
            Recording::parse(content)
        };
        assert!(sealed(content.to_vec()).is_ok());
        for length in begin..content.len() {
            let error = sealed(content[..length].to_vec()).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
        }
        let mut accepted = 0;
        for at in begin..content.len() {
            for flip in [1, 4, 16, 128, 255] {
                let mut changed = content.to_vec();
                changed[at] ^= flip;
                let Ok(read) = sealed(changed) else {
                    continue;
                };
                accepted += 1;
                let Ok((recorder, _)) = Recorder::replay(&read, false) else {
                    continue;
                };
                for event in &read.events {
                    let _ = (event.to_string(), recorder.recorded(event.call()));
                }
                assert!(recorder.host_answer("read /c").is_none());
            }
        }
        assert!(accepted > 0, "the bytes of bodies may be any");
    }

    #[test]
    fn a_recording_that_is_cut_or_changed_anywhere_is_refused() {
        let bytes = recording().bytes().unwrap();
        for length in 0..bytes.len() {
            assert!(Recording::parse(bytes[..length].to_vec()).is_err());
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Recording::parse(changed).is_err(), "byte {at}");
        }
        let other = String::from_utf8_lossy(&bytes[..22]).replace(VERSION, "1");
        let error = Recording::parse(other.into_bytes()).unwrap_err();
        assert!(error.to_string().contains("form 1"), "{error}");
    }
}
