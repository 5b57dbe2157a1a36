//! A worker closes one of its open WebSockets when its memory is short: the one whose guest leaves most of its messages
//! untaken, or the one that has been idle for longest.

use super::channel::{Channel, Closed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The client is told to try again later (the registry that RFC 6455 section 11.7 founds).
const TRY_AGAIN: u16 = 1013;

/// A WebSocket that was closed has this much time to give back what it holds, before the next is closed.
const PAUSE: Duration = Duration::from_millis(100);

fn short_of_memory() -> Closed {
    Closed::new(TRY_AGAIN, "the server is short of memory")
}

/// `OpenWebSockets` knows which WebSockets are open. One thread uses it, but the engine requires a lock.
#[derive(Default)]
pub struct OpenWebSockets(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    channels: Vec<Weak<Channel>>,
    relieved: Option<Instant>,
}

impl OpenWebSockets {
    /// Notes that this one is open, until it is dropped.
    pub fn add(&self, channel: &Arc<Channel>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.channels.retain(|other| other.strong_count() > 0);
        state.channels.push(Arc::downgrade(channel));
    }

    /// Gives one up, unless another was given up only just now.
    pub fn relieve(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.relieved.is_some_and(|since| now - since < PAUSE) {
            return;
        }
        let channels = state.channels.iter().filter_map(Weak::upgrade);
        let each = channels.filter_map(|channel| Some((channel.burden(now)?, channel)));
        if let Some((_, channel)) = each.max_by_key(|(burden, _)| *burden) {
            channel.give_up(short_of_memory());
            state.relieved = Some(now);
        }
    }

    /// Gives up all whose client has gone, and whose guest has not taken yet what came before.
    pub fn give_up_abandoned(&self) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = state.channels.iter().filter_map(Weak::upgrade);
        for channel in channels.filter(|channel| channel.is_abandoned()) {
            channel.give_up(short_of_memory());
        }
    }
}
