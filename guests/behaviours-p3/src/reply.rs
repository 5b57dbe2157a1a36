//! Responses whose bodies are written while they are sent.

use std::time::Duration;
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{Fields, Response};
use wasip3::wit_bindgen::{StreamWriter, spawn_local};
use wasip3::{wit_future, wit_stream};

/// A response whose body is what `write` writes.
pub fn streamed<F: Future<Output = ()> + 'static>(
    write: impl FnOnce(StreamWriter<u8>) -> F,
) -> Response {
    with_head(200, Fields::new(), write)
}

/// The same with this head.
pub fn with_head<F: Future<Output = ()> + 'static>(
    status: u16,
    headers: Fields,
    write: impl FnOnce(StreamWriter<u8>) -> F,
) -> Response {
    let (writer, reader) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(reader), trailers);
    response.set_status_code(status).expect("a legal status");
    spawn_local(write(writer));
    response
}

/// A whole answer.
pub fn text(text: impl Into<String>) -> Response {
    let text = text.into();
    streamed(|mut body| async move {
        body.write_all(text.into_bytes()).await;
    })
}

pub async fn sleep(time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).expect("a short time");
    monotonic_clock::wait_for(nanos).await;
}
