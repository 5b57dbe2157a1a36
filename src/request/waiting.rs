//! This file counts requests that wait for a permit, and those that are turned away.

use super::admission::{Admission, Permit, Rejected};
use super::client_progress::ClientProgress;
use super::share::ClientKey;
use crate::scoreboard::{Shed, SlotRef};
use crate::sys::clock;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// Takes a permit as soon as there is one, and counts the wait where there is any.
pub async fn permit(
    admission: &Admission,
    who: Option<ClientKey>,
    progress: &Rc<ClientProgress>,
    slot: &SlotRef,
) -> Result<Permit, Rejected> {
    let mut entering = pin!(admission.enter(who, progress));
    let first = poll_fn(|cx| Poll::Ready(entering.as_mut().poll(cx))).await;
    let entered = match first {
        Poll::Ready(entered) => entered,
        Poll::Pending => {
            let _waiting = WaitingRequest::begin(slot);
            entering.await
        }
    };
    if let Err(full) = &entered {
        let why = match full {
            Rejected::Queue => Shed::Queue,
            Rejected::Wait => Shed::Wait,
        };
        slot.shed(why, clock::now_ms());
    }
    entered
}

/// Counts a request that was turned away because its worker has no memory for it.
pub fn no_memory(slot: &SlotRef) {
    slot.shed(Shed::Memory, clock::now_ms());
}

/// `WaitingRequest` is one request that waits, until it does so no more, be it because its client has left.
struct WaitingRequest {
    slot: SlotRef,
    since: Instant,
}

impl WaitingRequest {
    fn begin(slot: &SlotRef) -> WaitingRequest {
        slot.wait_began();
        WaitingRequest {
            slot: slot.clone(),
            since: Instant::now(),
        }
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        self.slot.wait_ended(self.since.elapsed());
    }
}
