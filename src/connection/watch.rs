//! Runs a connection while its time is not up.

use super::activity::{Activity, Pace};
use super::patience::{Leaving, deadline};
use super::refusal::Refusal;
use super::{Connections, Departure};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep};

/// Why a connection is not run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was idle for long enough.
    Close,
    /// What came cannot be answered but by this.
    Refuse(Refusal),
    /// The client takes nothing of what is written.
    Stalled,
    /// The client only makes work.
    Abused,
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// When it is idle, or with the next answer.
    Http1,
    /// By telling the client, which is done once, and giving it time to have heard.
    Http2 { told: Option<Instant> },
}

/// How long a client that was told is waited for.
const HEARD: Duration = Duration::from_secs(1);

/// What is watched.
pub struct Watched<'a> {
    pub connections: &'a Connections,
    pub activity: &'a Activity,
    /// Of the one response at a time, where that is so.
    pub pace: &'a Pace,
    pub manner: Manner,
}

impl Watched<'_> {
    pub fn has_told(&self) -> bool {
        matches!(self.manner, Manner::Http2 { told: Some(_) })
    }

    /// Polls `connection` until it ends or is to be ended.
    pub async fn run<F: Future>(&self, mut connection: Pin<&mut F>) -> Result<F::Output, Stop> {
        let departure = &self.connections.departure;
        let mut leaving = false;
        let mut departs = pin!(departure.wait());
        let mut rests = pin!(self.activity.rests());
        let sleep = pin!(sleep(self.connections.settings.keep_alive));
        let mut timer = Timer::new(sleep);
        poll_fn(|cx| {
            if let Poll::Ready(output) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if let Some(refusal) = self.activity.refused() {
                return Poll::Ready(Err(Stop::Refuse(refusal)));
            }
            if self.activity.is_abused() {
                return Poll::Ready(Err(Stop::Abused));
            }
            leaving = leaving || departs.as_mut().poll(cx).is_ready();
            // An answer that ends in another task changes what is waited for here.
            while leaving && rests.as_mut().poll(cx).is_ready() {
                rests.set(self.activity.rests());
            }
            if leaving && self.manner == (Manner::Http2 { told: None }) {
                return Poll::Ready(Err(Stop::Close));
            }
            timer.poll(cx, || self.deadline(departure)).map(Err)
        })
        .await
    }

    fn deadline(&self, departure: &Departure) -> Option<(Instant, Stop)> {
        let leaving: Leaving = match self.manner {
            Manner::Http1 => departure.begun(),
            Manner::Http2 { told } => told.map(|told| (told, HEARD)),
        };
        let (phase, stalled) = (self.activity.phase(), self.pace.since());
        deadline(phase, stalled, &self.connections.settings, leaving)
    }
}

/// Waits for a deadline that is put off again and again: it is set anew only when it was reached, or
/// when the next is earlier.
pub struct Timer<'a> {
    sleep: Pin<&'a mut Sleep>,
}

impl<'a> Timer<'a> {
    pub fn new(sleep: Pin<&'a mut Sleep>) -> Timer<'a> {
        Timer { sleep }
    }

    /// Resolves with the deadline's meaning once it has passed.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: impl Fn() -> Option<(Instant, T)>,
    ) -> Poll<T> {
        /// Where nothing is to be waited for, it is looked at again after this time.
        const SELDOM: Duration = Duration::from_secs(3600);
        loop {
            let next = deadline();
            if let Some((until, _)) = &next
                && *until < self.sleep.deadline().into_std()
            {
                self.sleep.as_mut().reset((*until).into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match next {
                Some((until, meaning)) if until <= now => return Poll::Ready(meaning),
                Some((until, _)) => self.sleep.as_mut().reset(until.into()),
                None => self.sleep.as_mut().reset((now + SELDOM).into()),
            }
        }
    }
}
