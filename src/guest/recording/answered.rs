//! The answer that a guest gives is compared when its request is replayed: by its status, and by a digest of its body,
//! which is not kept.

use super::recorder::Recorder;
use crate::guest::observed::{Observed, Observer};
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, WasiBody};

/// An `Answered` is what a guest has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub status: u16,
    /// The body was this; none where not all of it was read.
    pub body: Option<BodyDigest>,
}

/// A `BodyDigest` tells a body from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyDigest {
    pub bytes: u64,
    pub digest: String,
}

impl Answered {
    /// Says whether another answer is the same, as far as it is known.
    pub fn is_same(&self, other: &Answered) -> bool {
        let bodies = self.body.as_ref().zip(other.body.as_ref());
        self.status == other.status && bodies.is_none_or(|(one, other)| one == other)
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest answered {}", self.status)?;
        match &self.body {
            Some(body) => write!(f, " with {} bytes", body.bytes),
            None => Ok(()),
        }
    }
}

/// Says whether an answer of this status is a failure. By 503 an application says on purpose that it does not serve now.
pub fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

/// `Progress` says how far the guest has come with its answer.
#[derive(Debug, Default)]
pub struct Progress {
    answered: Option<Answered>,
    body_ended: bool,
    returned: bool,
}

impl Progress {
    pub fn begin(&mut self, status: StatusCode) {
        self.answered = Some(Answered {
            status: status.as_u16(),
            body: None,
        });
    }

    pub fn end_body(&mut self, body: Option<BodyDigest>) {
        self.body_ended = true;
        if let Some(answered) = &mut self.answered {
            answered.body = body;
        }
    }

    pub fn end_guest(&mut self) {
        self.returned = true;
    }

    /// Returns the answer as far as there is one.
    pub fn answered(&self) -> Option<&Answered> {
        self.answered.as_ref()
    }

    /// Returns the answer once nothing more comes of it.
    pub fn whole(&self) -> Option<&Answered> {
        let is_over = self.body_ended && self.returned;
        self.answered.as_ref().filter(|_| is_over)
    }
}

/// Has a digest made of a body as it is read, and the recorder told when it ends.
pub fn digested(body: WasiBody, recorder: &Arc<Recorder>) -> WasiBody {
    let digester = Digester {
        recorder: recorder.clone(),
        hasher: blake3::Hasher::new(),
        is_over: false,
    };
    Observed::new(body, digester).boxed_unsync()
}

/// A `Digester` makes a digest of a body that goes by.
struct Digester {
    recorder: Arc<Recorder>,
    hasher: blake3::Hasher,
    /// The recorder has been told.
    is_over: bool,
}

impl Digester {
    fn end(&mut self, is_whole: bool) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.recorder.body_ended(is_whole.then(|| BodyDigest {
                bytes: self.hasher.count(),
                digest: self.hasher.finalize().to_hex()[..16].to_owned(),
            }));
        }
    }
}

impl Observer for Digester {
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        match frame {
            None => self.end(true),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.hasher.update(data);
                }
            }
            Some(Err(_)) => self.end(false),
        }
    }

    fn ends(&mut self, is_whole: bool) {
        self.end(is_whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: Option<(u64, &str)>) -> Answered {
        let body = body.map(|(bytes, digest)| BodyDigest {
            bytes,
            digest: digest.to_owned(),
        });
        Answered { status, body }
    }

    #[test]
    fn answers_are_compared_as_far_as_they_are_known() {
        let whole = answered(500, Some((3, "a")));
        assert!(whole.is_same(&whole));
        assert!(whole.is_same(&answered(500, None)));
        assert!(!whole.is_same(&answered(500, Some((3, "b")))));
        assert!(!whole.is_same(&answered(502, None)));
        assert_eq!(whole.to_string(), "the guest answered 500 with 3 bytes");
    }

    #[test]
    fn an_answer_is_a_failure_unless_it_is_given_on_purpose() {
        for (status, failure) in [(200, false), (404, false), (500, true), (503, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_failure(status), failure, "{status}");
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_guest_has_returned_and_its_body_has_ended() {
        let mut progress = Progress::default();
        progress.end_guest();
        progress.end_body(None);
        assert_eq!(progress.whole(), None, "there is none");
        let mut progress = Progress::default();
        progress.begin(StatusCode::BAD_GATEWAY);
        progress.end_body(None);
        assert_eq!(progress.whole(), None, "it may fail yet");
        progress.end_guest();
        assert_eq!(progress.whole(), Some(&answered(502, None)));
    }
}
