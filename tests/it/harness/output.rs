//! What a server prints, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Everything that was printed so far.
#[derive(Default)]
pub struct Printed {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    closed: AtomicBool,
}

impl Printed {
    /// Reads this pipe from now on.
    pub fn drain(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        let printed = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { return };
                if printed.closed.load(Ordering::Relaxed) {
                    return;
                }
                printed.lines().push(line);
                printed.grown.notify_all();
            }
        });
    }

    /// Has the pipes closed with the next line of each.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Waits until `count` lines contain `text`, and gives the last of them.
    pub fn wait_for(&self, time: Duration, text: &str, count: usize) -> String {
        let deadline = Instant::now() + time;
        let mut lines = self.lines();
        loop {
            let mut found = lines.iter().filter(|line| line.contains(text));
            if let Some(line) = found.nth(count - 1) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no line with `{text}` in:\n{}",
                lines.join("\n")
            );
            lines = self.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
