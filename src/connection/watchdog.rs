//! This file runs a connection while its time is not up.

use super::activity::Activity;
use super::refusal::HeadRefusal;
use super::timeouts::{Leaving, Waits, deadline};
use super::{Connections, WorkerShutdown};
use crate::request::Timer;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

/// `Stop` says why a connection is not run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The connection was idle for long enough.
    Close,
    /// Nothing whole has come for too long, and another connection needs the place.
    Evicted,
    /// What came cannot be answered but by this.
    Refuse(HeadRefusal),
    /// The client takes nothing of what is written.
    Stalled,
    /// The client only makes work.
    Abused,
    /// The client sends no more, and was answered for long enough.
    Left,
}

/// A `Manner` says how a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The connection ends when it is idle, or with the next answer.
    Http1,
    /// The client is told, once, and gets time to have heard.
    Http2 { told: Option<Instant> },
}

/// `WatchedConnection` is the connection that is watched.
pub struct WatchedConnection<'a> {
    pub connections: &'a Connections,
    pub activity: &'a Activity,
    pub manner: Manner,
}

impl WatchedConnection<'_> {
    pub fn has_told(&self) -> bool {
        matches!(self.manner, Manner::Http2 { told: Some(_) })
    }

    /// Polls `connection` until it ends or is to be ended.
    pub async fn run<F: Future>(&self, mut connection: Pin<&mut F>) -> Result<F::Output, Stop> {
        let shutdown = &self.connections.shutdown;
        let mut leaving = false;
        let mut departs = pin!(shutdown.wait());
        let mut rests = pin!(self.activity.rests());
        let mut timer = Timer::default();
        poll_fn(|cx| {
            if let Poll::Ready(output) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.activity.register(cx);
            if let Some(stop) = self.stops() {
                return Poll::Ready(Err(stop));
            }
            leaving = leaving || departs.as_mut().poll(cx).is_ready();
            // An answer that ends in another task changes what is waited for here.
            while leaving && rests.as_mut().poll(cx).is_ready() {
                rests.set(self.activity.rests());
            }
            if leaving && self.manner == (Manner::Http2 { told: None }) {
                return Poll::Ready(Err(Stop::Close));
            }
            loop {
                let Poll::Ready(stop) = timer.poll(cx, || self.deadline(shutdown)) else {
                    return Poll::Pending;
                };
                // What is on its way may have arrived in the meantime.
                if stop != Stop::Stalled || !self.activity.has_taken_more() {
                    return Poll::Ready(Err(stop));
                }
            }
        })
        .await
    }

    /// Says why the connection is not run on, whatever the time is.
    fn stops(&self) -> Option<Stop> {
        let activity = self.activity;
        if let Some(refusal) = activity.refused() {
            return Some(Stop::Refuse(refusal));
        }
        if activity.is_abused() {
            return Some(Stop::Abused);
        }
        match activity.take_evicted() {
            Some(why) if why.is_idle() => return Some(Stop::Close),
            Some(_) => return Some(Stop::Evicted),
            None => {}
        }
        // Before there is an answer the request is refused, which is none of our business here.
        activity.is_to_be_cut().then_some(Stop::Stalled)
    }

    fn deadline(&self, shutdown: &WorkerShutdown) -> Option<(Instant, Stop)> {
        let settings = &self.connections.settings;
        let leaving = Leaving::of(self.manner, shutdown);
        let waits = Waits {
            phase: self.activity.phase(),
            write: self.activity.progress().write_deadline(settings.write),
            head: self.activity.head_since(),
            ended: self.activity.ended_since(),
        };
        deadline(waits, settings, leaving)
    }
}
