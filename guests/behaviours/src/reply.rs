//! Responses, from a line of text to a stream.

use std::time::Duration;
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// A body that is being written.
pub struct Body {
    // Dropped in this order: a body that still has its stream cannot be dropped.
    stream: OutputStream,
    body: OutgoingBody,
}

/// Gives the head, and goes on with the body.
pub fn head(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)]) -> Body {
    let response = OutgoingResponse::new(Fields::from_list(headers).expect("legal headers"));
    response.set_status_code(status).expect("a legal status");
    let body = response.body().expect("the only body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the only stream");
    Body { stream, body }
}

impl Body {
    /// Writes all of it, as much at a time as there is room for, and sends it.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        let mut left = bytes.as_ref();
        while !left.is_empty() {
            let room = self.stream.check_write().expect("the client reads");
            if room == 0 {
                self.stream.subscribe().block();
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (now, later) = left.split_at(room.min(left.len()));
            self.stream.write(now).expect("the host takes it");
            left = later;
        }
        self.stream.blocking_flush().expect("the client reads");
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
