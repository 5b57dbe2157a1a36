//! A `WebSocketSession` is a guest that serves one WebSocket: it runs while it is polled, and is gone when it is dropped.

use super::call::RunningGuest;
use super::resting::{self, Resting};
use crate::guest::failure::Failure;
use crate::guest::host::websocket::{Channel, Closed, OpeningAnswer};
use crate::guest::memory::instance::InstanceMemory;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The guest failed (RFC 6455 section 7.4.1).
const FAILED: u16 = 1011;

/// The guest has returned.
const NORMAL: u16 = 1000;

pub struct WebSocketSession {
    /// The guest is `None` once it has ended.
    guest: Option<Resting>,
    /// The guest failed for this reason as soon as it had answered.
    failure: Option<Failure>,
    channel: Arc<Channel>,
    memory: Arc<InstanceMemory>,
}

impl WebSocketSession {
    pub fn new(
        guest: RunningGuest,
        contents: resting::Memory,
        channel: Arc<Channel>,
        memory: Arc<InstanceMemory>,
    ) -> WebSocketSession {
        WebSocketSession {
            guest: Some(Resting::new(guest, contents)),
            failure: None,
            channel,
            memory,
        }
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Resolves when others need what the WebSocket holds.
    pub fn given_up(&self) -> impl Future<Output = ()> + use<> {
        let channel = self.channel.clone();
        async move { channel.given_up().await }
    }

    /// Counts what `run` allocates as the instance's.
    pub fn pay<T>(&self, run: impl FnOnce() -> T) -> T {
        self.memory.pay(run)
    }

    /// Runs the guest until it has answered the opening request.
    pub async fn answer(&mut self) -> Result<OpeningAnswer, Failure> {
        poll_fn(|cx| {
            let polled = self.poll(cx);
            if let Some(answer) = self.channel.take_answer() {
                if let Poll::Ready(Err(failure)) = polled {
                    self.failure = Some(failure);
                }
                return Poll::Ready(Ok(answer));
            }
            polled.map(|ended| ended.and(Err(Failure::NoResponse)))
        })
        .await
    }

    /// Runs the guest; resolves when it has ended, and the connection is closed for that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(guest) = &mut self.guest else {
            return Poll::Ready(self.failure.take().map_or(Ok(()), Err));
        };
        let polled = Pin::new(guest).poll(cx);
        match &polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => self.channel.close(Closed::new(NORMAL, "")),
            Poll::Ready(Err(_)) => self.channel.close(Closed::new(FAILED, "")),
        }
        self.guest = None;
        polled
    }

    /// Says whether the guest has ended, and nobody is to be told more of it.
    pub fn is_over(&self) -> bool {
        self.guest.is_none() && self.failure.is_none()
    }

    /// Lets the guest come to its end.
    pub async fn end(&mut self) -> Result<(), Failure> {
        poll_fn(|cx| self.poll(cx)).await
    }
}
