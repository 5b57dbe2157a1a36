//! Responses, from a line of text to a stream.

use std::time::Duration;
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// A body that is being written.
pub struct Body {
    body: OutgoingBody,
    stream: OutputStream,
}

/// Gives the head, and goes on with the body.
pub fn head(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)]) -> Body {
    let response = OutgoingResponse::new(Fields::from_list(headers).expect("legal headers"));
    response.set_status_code(status).expect("a legal status");
    let body = response.body().expect("the only body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the only stream");
    Body { body, stream }
}

impl Body {
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        for piece in bytes.as_ref().chunks(4096) {
            self.stream
                .blocking_write_and_flush(piece)
                .expect("the client reads");
        }
    }

    pub fn finish(self, trailers: Option<Fields>) {
        drop(self.stream);
        let _ = OutgoingBody::finish(self.body, trailers);
    }
}

/// A whole answer.
pub fn text(out: ResponseOutparam, text: &str) {
    let body = head(
        out,
        200,
        &[("content-type".to_owned(), b"text/plain".to_vec())],
    );
    body.write(text);
    body.finish(None);
}

pub fn sleep(time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).expect("a short time");
    monotonic_clock::subscribe_duration(nanos).block();
}
