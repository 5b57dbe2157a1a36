//! What other servers answered a guest is recorded, and given again without asking anybody.

use super::body::{self, Frames, Piece, Shared};
use super::budget::Budget;
use super::error::WrittenError;
use super::masked;
use super::request::{fields, header_map, size};
use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime_wasi_http::{Error, WasiBody};

type Response = http::Response<WasiBody>;

/// An `Answer` is what came of a request that the guest has sent, as far as it had come.
#[derive(Debug, Default)]
pub enum Answer {
    /// The guest was still waiting for it.
    #[default]
    Awaited,
    Given {
        status: StatusCode,
        fields: HeaderMap,
        frames: Shared,
    },
    /// The request could not be sent, or was not answered, for this reason.
    Failed(WrittenError),
}

/// A `WrittenAnswer` is how an answer stands in a file; the bytes of its body stand behind those of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenAnswer {
    pub status: Option<u16>,
    pub fields: Vec<(String, String)>,
    pub error: Option<WrittenError>,
    pub pieces: Vec<Piece>,
    #[serde(skip)]
    pub body: Bytes,
}

impl Answer {
    /// Notes an answer, and has its body noted as it is read.
    pub fn noted(answer: &mut Result<Response, Error>, budget: &Budget) -> Answer {
        match answer {
            Ok(response) => {
                let mut frames = Frames::within(budget);
                if !budget.take(size(response.headers())) {
                    frames.overflow();
                }
                let frames = Arc::new(Mutex::new(frames));
                let body = std::mem::take(response.body_mut());
                *response.body_mut() = body::watched(body, frames.clone());
                Answer::Given {
                    status: response.status(),
                    fields: response.headers().clone(),
                    frames,
                }
            }
            Err(error) => Answer::Failed(WrittenError::of(error)),
        }
    }

    /// Writes the answer down, with or without the values of fields that are secret; `None` where there is too much
    /// of it. What the guest waited for does not come where its time was up.
    pub fn written(&self, secrets: bool, is_time_up: bool) -> Option<WrittenAnswer> {
        let mut written = WrittenAnswer {
            status: None,
            fields: Vec::new(),
            error: None,
            pieces: Vec::new(),
            body: Bytes::new(),
        };
        match self {
            Answer::Awaited => {}
            Answer::Failed(error) => written.error = Some(error.clone()),
            Answer::Given {
                status,
                fields: given,
                frames,
            } => {
                let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
                if frames.overflown {
                    return None;
                }
                written.status = Some(status.as_u16());
                written.fields = fields(given);
                if !secrets {
                    masked::fields(&mut written.fields);
                }
                written.pieces = frames.pieces(is_time_up);
                written.body = frames.bytes();
            }
        }
        Some(written)
    }
}

impl WrittenAnswer {
    /// Gives the answer again; `None` where the guest has waited in vain.
    pub fn again(&self) -> Result<Option<Result<Response, Error>>> {
        if let Some(error) = &self.error {
            return Ok(Some(Err(error.again())));
        }
        let Some(status) = self.status else {
            return Ok(None);
        };
        let frames = Frames::of(self.pieces.clone(), self.body.clone());
        let frames = frames.context("an answer is not as long as its frames")?;
        let frames = Arc::new(Mutex::new(frames));
        // A body that had ended already has no frames.
        let body = match self.pieces.is_empty() {
            true => WasiBody::default(),
            false => body::replayed(frames),
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).context("a status is none")?;
        *response.headers_mut() = header_map(&self.fields)?;
        Ok(Some(Ok(response)))
    }
}

/// Takes what a guest sends to a server that is not there, so that it can go on sending.
pub async fn swallow(mut body: WasiBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn an_answer_is_given_again_as_it_was_read_and_without_its_secrets() {
        let full = Full::new(Bytes::from("hello")).map_err(|never| match never {});
        let response = http::Response::builder()
            .status(418)
            .header("set-cookie", "a=b")
            .header("x-a", "1")
            .body(full.boxed_unsync());
        let mut answer = Ok(response.unwrap());
        let noted = Answer::noted(&mut answer, &Budget::default());
        let body = answer.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "hello");
        let written = noted.written(false, false).unwrap();
        let again = written.again().unwrap().unwrap().unwrap();
        assert_eq!(again.status(), 418);
        assert_eq!(again.headers()["set-cookie"], "***");
        assert_eq!(again.headers()["x-a"], "1");
        let body = again.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "hello");
    }

    #[test]
    fn an_error_and_a_wait_are_given_again() {
        let mut answer = Err(Error::ConnectionRefused);
        let noted = Answer::noted(&mut answer, &Budget::default());
        let again = noted.written(false, false).unwrap().again().unwrap();
        assert!(matches!(again, Some(Err(Error::ConnectionRefused))));
        let awaited = Answer::Awaited.written(false, true).unwrap();
        assert!(awaited.again().unwrap().is_none());
    }
}
