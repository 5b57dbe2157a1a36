//! This file judges the transfer codings of a request (RFC 9112 section 6.1): nothing is let pass but what every
//! reader takes for chunked.

use super::head::Framing;
use super::refusal::{HeadRefusal, refused};
use http::StatusCode;

/// `Codings` is what all fields of Transfer-Encoding say together.
#[derive(Default)]
pub struct Codings {
    fields: usize,
    /// The body is chunked this often.
    chunked: usize,
    chunked_last: bool,
    others: usize,
}

impl Codings {
    pub fn are_none(&self) -> bool {
        self.fields == 0
    }

    /// Reads a list, whose empty elements count for nothing (RFC 9110 section 5.6.1).
    pub fn read(&mut self, value: &[u8]) {
        self.fields += 1;
        let codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for coding in codings.filter(|coding| !coding.is_empty()) {
            self.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
            match self.chunked_last {
                true => self.chunked += 1,
                false => self.others += 1,
            }
        }
    }

    /// Lets nothing pass but what every reader takes for chunked (RFC 9112 section 6.1).
    pub fn validate(&self) -> Result<Framing, HeadRefusal> {
        if !self.chunked_last {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "its last transfer coding is not chunked",
            ));
        }
        if self.chunked > 1 {
            return Err(refused(StatusCode::BAD_REQUEST, "it is chunked twice"));
        }
        if self.others > 0 {
            let why = "it has a transfer coding other than chunked";
            return Err(refused(StatusCode::NOT_IMPLEMENTED, why));
        }
        match self.fields {
            1 => Ok(Framing::Chunked),
            _ => Err(refused(
                StatusCode::BAD_REQUEST,
                "it has several Transfer-Encodings",
            )),
        }
    }
}
