//! A line leaves in one write where it can. It never waits long for a reader that is behind, and is lost rather than
//! waited for once the readers have had their time.

use crate::sys::clock;
use crate::sys::file::Way;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines wait so long for a reader that is behind, all together, before they are lost. That is longer than any reader
/// that works needs, and short against the silence for which a worker is taken to hang.
const PATIENCE: Duration = Duration::from_millis(500);

/// One part in so many of the time that passes may be spent with waiting.
const SHARE: u64 = 10;

/// An `Output` is standard output, or standard error.
pub struct Output {
    fd: i32,
    state: Mutex<State>,
}

struct State {
    way: Way,
    /// So many milliseconds of patience are used up, as of `at_ms`.
    waited_ms: u64,
    at_ms: u64,
    /// So many lines were lost since the last that was written.
    lost: u64,
    /// The last line was cut short, so that the next must not follow it immediately.
    torn: bool,
}

impl Output {
    pub const fn new(fd: i32) -> Output {
        let state = Mutex::new(State {
            way: Way::plain(fd),
            waited_ms: 0,
            at_ms: 0,
            lost: 0,
            torn: false,
        });
        Output { fd, state }
    }

    /// Finds out how to write without waiting, and closes what was opened for that before.
    pub fn prepare(&self) {
        self.lock().way.prepare(self.fd);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the descriptor that this has opened itself, for children to keep.
    pub fn descriptor(&self) -> Option<i32> {
        self.lock().way.descriptor()
    }

    /// Writes a line. `about_lost` words what is said of lines that were lost.
    pub fn emit(&self, line: &str, about_lost: impl FnOnce(u64) -> String) {
        let mut state = self.lock();
        if state.lost == 0 && !state.torn {
            return state.write(line);
        }
        let lost = std::mem::take(&mut state.lost);
        let mut text = if state.torn { "\n" } else { "" }.to_owned();
        if lost > 0 {
            text += &about_lost(lost);
        }
        // Nothing is waited for before the reader goes on.
        if !state.way.takes(Duration::ZERO) {
            state.lost = lost + 1;
            return;
        }
        state.torn = false;
        text += line;
        state.write(&text);
    }
}

impl State {
    fn write(&mut self, line: &str) {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.way.write(rest) {
                Ok(0) => return,
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait() {
                        self.lost += 1;
                        self.torn = rest.len() < line.len();
                        return;
                    }
                }
                // Nobody can be told of it.
                Err(_) => return,
            }
        }
    }

    /// Waits for room within the patience that is left, and says whether there is any.
    fn wait(&mut self) -> bool {
        let start = clock::now_ms();
        let waited = recovered(self.waited_ms, start - self.at_ms);
        let left = (PATIENCE.as_millis() as u64).saturating_sub(waited);
        let room = self.way.takes(Duration::from_millis(left));
        self.at_ms = clock::now_ms();
        self.waited_ms = waited + (self.at_ms - start);
        room
    }
}

/// Computes how much of the patience is used up after this time.
fn recovered(waited_ms: u64, passed_ms: u64) -> u64 {
    waited_ms.saturating_sub(passed_ms / SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_comes_back_slowly() {
        assert_eq!(recovered(500, 0), 500);
        assert_eq!(recovered(500, 1000), 400);
        assert_eq!(recovered(500, 60_000), 0);
    }
}
