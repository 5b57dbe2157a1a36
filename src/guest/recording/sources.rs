//! What differs from run to run in an instance comes from here, where its request is recorded: the time, and random
//! numbers.

use super::journal::{Call, Event};
use super::recorder::{Purpose, Recorder};
use rand::rngs::StdRng;
use rand::{SeedableRng, TryRng};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

/// A `RecordedClock` tells the time of another clock, or the time that it told when the request was recorded.
pub struct RecordedClock<C> {
    recorder: Arc<Recorder>,
    clock: C,
}

impl<C> RecordedClock<C> {
    pub fn new(recorder: &Arc<Recorder>, clock: C) -> RecordedClock<C> {
        RecordedClock {
            recorder: recorder.clone(),
            clock,
        }
    }
}

impl<C: HostMonotonicClock> HostMonotonicClock for RecordedClock<C> {
    fn resolution(&self) -> u64 {
        self.clock.resolution()
    }

    fn now(&self) -> u64 {
        let now = || Event::MonotonicNow(self.clock.now());
        match self.recorder.answer(Call::MonotonicNow, now) {
            Event::MonotonicNow(nanoseconds) => nanoseconds,
            _ => self.clock.now(),
        }
    }
}

/// `Calendar` is the wall clock of guests, as the engine has it.
pub struct Calendar;

impl HostWallClock for RecordedClock<Calendar> {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let now = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default()
        };
        let event = || {
            let now = now();
            Event::WallNow(now.as_secs(), now.subsec_nanos())
        };
        match self.recorder.answer(Call::WallNow, event) {
            // What a file says may be no time at all.
            Event::WallNow(seconds, nanoseconds) => Duration::from_secs(seconds)
                .saturating_add(Duration::from_nanos(nanoseconds.into())),
            _ => now(),
        }
    }
}

/// A `RecordedRng` is the engine's source of random numbers, from a seed that is kept.
pub struct RecordedRng {
    recorder: Arc<Recorder>,
    purpose: Purpose,
    /// The source is made when it is first asked: few requests ask it.
    rng: Option<StdRng>,
}

impl RecordedRng {
    /// Makes the source for this purpose.
    pub fn new(recorder: &Arc<Recorder>, purpose: Purpose) -> RecordedRng {
        RecordedRng {
            recorder: recorder.clone(),
            purpose,
            rng: None,
        }
    }

    /// Notes how much is drawn from the source.
    fn draw(&mut self, bytes: usize) -> &mut StdRng {
        let bytes = bytes as u64;
        let drawn = || Event::Random(bytes);
        self.recorder.answer(Call::Random(bytes), drawn);
        self.recorder.draws(self.purpose);
        let make = || StdRng::from_seed(self.recorder.derived(self.purpose));
        self.rng.get_or_insert_with(make)
    }
}

impl TryRng for RecordedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.draw(4).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draw(8).try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.draw(bytes.len()).try_fill_bytes(bytes)
    }
}
