//! Any bytes are read as a recording or refused. What is read is written as it was, and is replayed whatever it says.

use super::file::Recording;
use super::journal::Call;
use super::recorder::{Asked, Purpose, Recorder};
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Waker};
use wasmtime_wasi_http::WasiBody;

/// A body of a recording that can be read has no more frames than this.
const MOST_FRAMES: usize = 1 << 20;

/// Takes a recording without its digest, which anybody can make.
pub fn recording(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    sealed.extend_from_slice(blake3::hash(bytes).as_bytes());
    let Ok(recording) = Recording::parse(sealed) else {
        return;
    };
    let written = recording.bytes().expect("it can be written");
    let again = Recording::parse(written).expect("it can be read");
    assert_eq!(again, recording);
    let Ok((recorder, request)) = Recorder::replay(&recording, false) else {
        return;
    };
    read(request.into_body());
    recorder.derived(Purpose::Secure);
    for event in &recording.events {
        let _ = event.to_string();
        let call = event.call();
        if let Call::Ask(asked) = call {
            if let Asked::Then(Some(Ok(response))) = recorder.ask(asked) {
                read(response.into_body());
            }
        } else {
            recorder.recorded(call);
        }
    }
    // The recording is at its end, or has been left.
    assert!(recorder.host_answer("no such call").is_none());
    assert!(recorder.replayed().0.is_some());
}

/// Reads a body until it ends, or has no more for now.
fn read(mut body: WasiBody) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut frames = 0;
    while let std::task::Poll::Ready(Some(_)) = Pin::new(&mut body).poll_frame(&mut cx) {
        frames += 1;
        assert!(frames < MOST_FRAMES, "the body has no end");
    }
}
