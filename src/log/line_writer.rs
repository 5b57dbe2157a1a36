//! A line leaves in one write where it can. It never waits long for a reader that is behind, and is lost rather than
//! waited for once the readers have had their time.

use crate::sys::clock;
use crate::sys::file::Way;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines wait this long for a reader that is behind, all together, before they are lost. That is longer than any reader
/// that works needs, and short against the silence for which a worker is taken to hang.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// One part in this many of the time that passes may be spent with waiting.
const SHARE: u64 = 10;

/// A `LineWriter` is standard output or standard error, or what is open in the place of it.
pub struct LineWriter {
    standard: i32,
    state: Mutex<WriterState>,
}

/// A `Loss` says why a line was lost.
#[derive(Debug)]
pub struct Loss {
    pub why: io::Error,
    /// The line before it was written.
    pub is_first: bool,
}

struct WriterState {
    way: Way,
    /// This is open in the place of the standard stream.
    opened: Option<OwnedFd>,
    /// This many milliseconds of `LONGEST_WAIT` are used up, as of `at_ms`.
    waited_ms: u64,
    at_ms: u64,
    /// This many lines were lost since the last that was written.
    lost: u64,
    /// The last of them was lost for this reason.
    why: Option<io::Error>,
    /// The last line was cut short, so that the next must not follow it immediately.
    torn: bool,
}

impl LineWriter {
    pub const fn new(standard: i32) -> LineWriter {
        let state = Mutex::new(WriterState {
            way: Way::plain(standard),
            opened: None,
            waited_ms: 0,
            at_ms: 0,
            lost: 0,
            why: None,
            torn: false,
        });
        LineWriter { standard, state }
    }

    /// Finds out how to write without waiting, and closes what was opened for that before.
    pub fn prepare(&self) {
        let mut state = self.lock();
        let fd = state.opened.as_ref().map(AsRawFd::as_raw_fd);
        state.way.prepare(fd.unwrap_or(self.standard));
        // What the parent of this process has lost the parent tells of.
        state.lost = 0;
    }

    /// Writes to this from here on.
    pub fn redirect(&self, opened: OwnedFd) {
        self.replace(Some(opened));
    }

    /// Writes to the standard stream again.
    pub fn restore(&self) {
        self.replace(None);
    }

    fn replace(&self, opened: Option<OwnedFd>) {
        let mut state = self.lock();
        let fd = opened.as_ref().map(AsRawFd::as_raw_fd);
        let fd = fd.unwrap_or(self.standard);
        state.way = Way::plain(fd);
        state.way.prepare(fd);
        state.opened = opened;
        state.torn = false;
    }

    fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the descriptors that this has beside the standard streams, for children to keep.
    pub fn descriptors(&self) -> Vec<i32> {
        let state = self.lock();
        let opened = state.opened.as_ref().map(AsRawFd::as_raw_fd);
        opened.into_iter().chain(state.way.descriptor()).collect()
    }

    /// Writes a line, or says how it was lost. `about_lost` words what is said of lines that were lost before.
    pub fn emit(
        &self,
        line: &str,
        about_lost: impl FnOnce(u64, &io::Error) -> String,
    ) -> Result<(), Loss> {
        let mut state = self.lock();
        if state.lost == 0 && !state.torn {
            return state.write(line).map_err(|why| state.loses(why));
        }
        // Nothing is waited for before the reader goes on.
        if !state.way.takes(Duration::ZERO) {
            return Err(state.loses(io::ErrorKind::WouldBlock.into()));
        }
        let torn = state.torn;
        let mut text = if torn { "\n" } else { "" }.to_owned();
        if let (lost @ 1.., Some(why)) = (state.lost, &state.why) {
            text += &about_lost(lost, why);
        }
        text += line;
        state.torn = false;
        match state.write(&text) {
            Ok(()) => {
                (state.lost, state.why) = (0, None);
                Ok(())
            }
            Err(why) => {
                state.torn |= torn;
                Err(state.loses(why))
            }
        }
    }
}

impl WriterState {
    /// Writes a line, or says why not all of it could be written.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let why = match self.way.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = &rest[written..];
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.wait() => continue,
                Err(error) => error,
            };
            self.torn = rest.len() < line.len();
            return Err(why);
        }
        Ok(())
    }

    /// Counts a line that is lost.
    fn loses(&mut self, why: io::Error) -> Loss {
        let is_first = self.lost == 0;
        self.lost += 1;
        // An error is made anew of its number, as it cannot be copied.
        self.why = Some(match why.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => why.kind().into(),
        });
        Loss { why, is_first }
    }

    /// Waits for room for as long as is left of `LONGEST_WAIT`, and says whether there is any.
    fn wait(&mut self) -> bool {
        let start = clock::now_ms();
        let waited = recovered(self.waited_ms, start - self.at_ms);
        let left = (LONGEST_WAIT.as_millis() as u64).saturating_sub(waited);
        let room = self.way.takes(Duration::from_millis(left));
        self.at_ms = clock::now_ms();
        self.waited_ms = waited + (self.at_ms - start);
        room
    }
}

/// Computes how much of `LONGEST_WAIT` is used up after this time.
fn recovered(waited_ms: u64, passed_ms: u64) -> u64 {
    waited_ms.saturating_sub(passed_ms / SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_comes_back_slowly() {
        assert_eq!(recovered(500, 0), 500);
        assert_eq!(recovered(500, 1000), 400);
        assert_eq!(recovered(500, 60_000), 0);
    }
}
