//! A worker leaves its spans in its own slot of the scoreboard, from where the exporter takes them. Nothing here
//! waits.

use super::Span;
use crate::scoreboard::SlotRef;
use prost::Message;
use std::cell::RefCell;

thread_local! {
    /// This worker records into this slot. One thread serves, and it alone measures spans.
    static RECORDER: RefCell<Option<(SlotRef, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Has this thread's spans left in this slot from here on.
pub fn begin_recording(slot: SlotRef) {
    RECORDER.with(|recorder| recorder.replace(Some((slot, Vec::new()))));
}

/// Leaves a span that is over. Where there is no room for it, it is counted and forgotten.
pub fn record(mut span: Span) {
    span.cut();
    RECORDER.with(|recorder| {
        if let Some((slot, buffer)) = &mut *recorder.borrow_mut() {
            buffer.clear();
            // A buffer grows.
            let _ = span.encode(buffer);
            slot.record(buffer);
        }
    });
}
