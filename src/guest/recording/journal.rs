//! The `Journal` has what the host answered, call by call. While a request is recorded the journal grows; when it is
//! replayed the same answers are given, and the first call that is another one is noted.

use super::budget::{Budget, MOST_PIECES};
use super::host_answer::HostAnswer;
use crate::{errln, log};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A `Call` is one of those whose answers differ from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    MonotonicNow,
    WallNow,
    Random(u64),
    Poll,
    Ready,
    /// A request is sent: its method and target.
    Ask(String),
    /// The host is asked this, by its interface.
    Host(String),
}

/// An `Event` is a call with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The monotonic clock said this many nanoseconds.
    MonotonicNow(u64),
    /// The wall clock said this many seconds and nanoseconds.
    WallNow(u64, u32),
    /// This many random bytes were drawn one after the other, which follow from the seed.
    Random(u64),
    /// These were ready, of what the guest waited for.
    Poll(Vec<u32>),
    /// The pollable was ready, or not.
    Ready(bool),
    /// The host was asked this, and has answered it.
    Host(Box<HostAnswer>),
    /// The host was asked this, and had not answered when the time was up.
    HostWaits(String),
    /// This was asked of another server; what it answered stands elsewhere.
    Ask(String),
    /// The guest waited for several things when its time was up.
    Waits,
}

impl Event {
    pub(super) fn call(&self) -> Call {
        match self {
            Event::MonotonicNow(_) => Call::MonotonicNow,
            Event::WallNow(..) => Call::WallNow,
            Event::Random(count) => Call::Random(*count),
            Event::Poll(_) | Event::Waits => Call::Poll,
            Event::Ready(_) => Call::Ready,
            Event::Ask(asked) => Call::Ask(asked.clone()),
            Event::Host(answer) => Call::Host(answer.called.clone()),
            Event::HostWaits(called) => Call::Host(called.clone()),
        }
    }
}

impl Event {
    /// Counts the bytes that it holds, beside a few.
    fn length(&self) -> usize {
        match self {
            Event::Poll(ready) => size_of_val(&ready[..]),
            Event::Host(answer) => answer.length(),
            Event::HostWaits(called) | Event::Ask(called) => called.len(),
            _ => 0,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::MonotonicNow => write!(f, "wasi:clocks/monotonic-clock now"),
            Call::WallNow => write!(f, "wasi:clocks/wall-clock now"),
            Call::Random(count) => write!(f, "wasi:random, {count} bytes"),
            Call::Poll => write!(f, "wasi:io/poll poll"),
            Call::Ready => write!(f, "wasi:io/poll ready"),
            Call::Host(called) => write!(f, "{}", log::escape(called)),
            Call::Ask(asked) => write!(f, "wasi:http {}", log::escape(asked)),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Event::Host(answer) = self {
            return answer.fmt(f);
        }
        self.call().fmt(f)?;
        match self {
            Event::MonotonicNow(nanoseconds) => write!(f, " -> {nanoseconds}"),
            Event::WallNow(seconds, nanoseconds) => write!(f, " -> {seconds}.{nanoseconds:09}"),
            Event::Random(_) | Event::Ask(_) | Event::Host(_) => Ok(()),
            Event::Waits | Event::HostWaits(_) => write!(f, " -> nothing until the time was up"),
            Event::Poll(ready) => write!(f, " -> {ready:?}"),
            Event::Ready(ready) => write!(f, " -> {ready}"),
        }
    }
}

/// A replay went `OtherWay` than what was recorded, with this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherWay {
    /// The call has this number, from 1.
    pub number: usize,
    pub recorded: Option<Event>,
    pub now: Call,
}

impl fmt::Display for OtherWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at host call {}: recorded was ", self.number)?;
        match &self.recorded {
            Some(event) => write!(f, "`{event}`")?,
            None => write!(f, "no further call")?,
        }
        write!(f, ", and now it is `{}`", self.now)
    }
}

/// A `Journal` is written, or read.
#[derive(Debug)]
pub enum Journal {
    Written(Vec<Event>),
    /// There were more answers than are kept.
    Overflown,
    Read {
        events: Vec<Event>,
        next: usize,
        /// The guest has drawn this many of the random bytes that it draws next.
        drawn: u64,
        other_way: Option<OtherWay>,
        /// Each call is printed.
        traced: bool,
    },
}

impl Journal {
    /// Begins to give these answers again.
    pub fn read(events: Vec<Event>, traced: bool) -> Journal {
        Journal::Read {
            events,
            next: 0,
            drawn: 0,
            other_way: None,
            traced,
        }
    }

    /// Returns the answer that is given next.
    pub fn next(&self) -> Option<&Event> {
        match self {
            Journal::Read { events, next, .. } => events.get(*next),
            Journal::Written(_) | Journal::Overflown => None,
        }
    }

    /// Counts the answers that were given.
    pub fn given(&self) -> usize {
        match self {
            Journal::Written(events) => events.len(),
            Journal::Overflown => 0,
            Journal::Read { next, .. } => *next,
        }
    }

    /// Gives the recorded answer to this call; `None` where the host is to answer, and to tell by `note`.
    pub fn recorded(&mut self, call: Call) -> Option<Event> {
        let Journal::Read {
            events,
            next,
            drawn,
            other_way,
            traced,
        } = self
        else {
            return None;
        };
        if other_way.is_some() {
            return None;
        }
        let event = events.get(*next).cloned();
        match event {
            // The engine draws them in small pieces.
            Some(Event::Random(all))
                if let Call::Random(count) = call
                    && count <= all - *drawn =>
            {
                *drawn += count;
                if *drawn == all {
                    (*next, *drawn) = (*next + 1, 0);
                    trace(*traced, *next, &Event::Random(all));
                }
                Some(Event::Random(count))
            }
            Some(event) if event.call() == call => {
                *next += 1;
                trace(*traced, *next, &event);
                Some(event)
            }
            recorded => {
                *other_way = Some(OtherWay {
                    number: *next + 1,
                    recorded,
                    now: call,
                });
                None
            }
        }
    }

    /// Notes what the host has answered, where there was no recorded answer and as long as the budget has room for it.
    pub fn note(&mut self, event: Event, budget: &Budget) {
        match self {
            Journal::Written(events) => {
                if let (Some(Event::Random(all)), Event::Random(count)) =
                    (events.last_mut(), &event)
                {
                    *all += count;
                } else if events.len() < MOST_PIECES && budget.take(event.length()) {
                    events.push(event);
                } else {
                    *self = Journal::Overflown;
                }
            }
            Journal::Read { traced: true, .. } => errln!("     -  {event} (not recorded)"),
            Journal::Overflown | Journal::Read { .. } => {}
        }
    }
}

/// Prints a call that was answered as it was recorded, where that is wanted.
fn trace(traced: bool, number: usize, event: &Event) {
    if traced {
        errln!("{number:>6}  {event}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::recording::budget::MOST;
    use bytes::Bytes;

    #[test]
    fn answers_are_given_again_until_another_call_is_made() {
        let events = vec![Event::MonotonicNow(5), Event::Random(8), Event::Ready(true)];
        let mut journal = Journal::read(events, false);
        let first = journal.recorded(Call::MonotonicNow);
        assert_eq!(first, Some(Event::MonotonicNow(5)));
        assert_eq!(journal.recorded(Call::Random(9)), None);
        assert_eq!(journal.recorded(Call::Ready), None, "it has left the way");
        let Journal::Read {
            other_way: Some(other_way),
            ..
        } = journal
        else {
            panic!("{journal:?}");
        };
        assert_eq!(
            other_way.to_string(),
            "at host call 2: recorded was `wasi:random, 8 bytes`, and now it is `wasi:random, 9 bytes`"
        );
    }

    #[test]
    fn random_bytes_may_be_drawn_in_pieces() {
        let mut written = Journal::Written(Vec::new());
        let budget = Budget::default();
        (0..3).for_each(|_| written.note(Event::Random(4), &budget));
        written.note(Event::Ready(true), &budget);
        let Journal::Written(events) = written else {
            panic!("{written:?}");
        };
        assert_eq!(events, [Event::Random(12), Event::Ready(true)]);
        let mut journal = Journal::read(events.clone(), false);
        for count in [8, 4] {
            let drawn = journal.recorded(Call::Random(count));
            assert_eq!(drawn, Some(Event::Random(count)));
        }
        assert!(journal.recorded(Call::Ready).is_some());
        let mut fewer = Journal::read(events, false);
        assert!(fewer.recorded(Call::Random(8)).is_some());
        assert_eq!(fewer.recorded(Call::Ready), None, "four more were drawn");
    }

    #[test]
    fn a_journal_that_is_too_long_is_given_up() {
        let mut journal = Journal::Written(Vec::new());
        let budget = Budget::default();
        (0..=MOST_PIECES).for_each(|_| journal.note(Event::Ready(false), &budget));
        assert!(matches!(journal, Journal::Overflown));
        assert_eq!(journal.recorded(Call::Ready), None);
    }

    /// A guest may ask in few calls for much.
    #[test]
    fn a_journal_whose_answers_are_too_long_is_given_up() {
        let long = "x".repeat(100_000);
        let ready: Vec<u32> = (0..10_000).collect();
        let host = HostAnswer::new(long.clone(), String::new(), Bytes::new());
        for event in [
            Event::Ask(long),
            Event::Poll(ready),
            Event::Host(Box::new(host)),
        ] {
            let (mut journal, budget) = (Journal::Written(Vec::new()), Budget::default());
            (0..=MOST / 40_000).for_each(|_| journal.note(event.clone(), &budget));
            assert!(matches!(journal, Journal::Overflown), "{event}");
        }
    }
}
