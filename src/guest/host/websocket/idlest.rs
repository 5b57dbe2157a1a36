//! A worker closes the WebSocket that has been idle for longest when its memory is short.

use super::channel::{Channel, Closed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The client is told to try again later (the registry that RFC 6455 section 11.7 founds).
const TRY_AGAIN: u16 = 1013;

/// A WebSocket that was closed has so much time to give back what it holds, before the next is closed.
const PAUSE: Duration = Duration::from_millis(100);

/// `Open` holds the WebSockets that are open. One thread uses it, but the engine requires a lock.
#[derive(Default)]
pub struct Open(Mutex<State>);

#[derive(Default)]
struct State {
    channels: Vec<Weak<Channel>>,
    relieved: Option<Instant>,
}

impl Open {
    /// Notes that this one is open, until it is dropped.
    pub fn add(&self, channel: &Arc<Channel>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.channels.retain(|other| other.strong_count() > 0);
        state.channels.push(Arc::downgrade(channel));
    }

    /// Closes the one that has been idle for longest, unless another was closed only just now.
    pub fn relieve(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.relieved.is_some_and(|since| now - since < PAUSE) {
            return;
        }
        let channels = state.channels.iter().filter_map(Weak::upgrade);
        let idle = channels.filter_map(|channel| Some((channel.idle(now)?, channel)));
        if let Some((_, channel)) = idle.max_by_key(|(idle, _)| *idle) {
            channel.close(Closed::new(TRY_AGAIN, "the server is short of memory"));
            state.relieved = Some(now);
        }
    }
}
