//! What a server prints, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Everything that was printed so far.
#[derive(Default)]
pub struct Printed {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    closed: AtomicBool,
    /// So many pipes may still say something.
    open: AtomicUsize,
}

/// A pipe that is read, until it is at its end.
struct Reading(Arc<Printed>);

impl Drop for Reading {
    fn drop(&mut self) {
        // Whoever looks holds the lines, and has seen the last of them.
        let _lines = self.0.lines();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.grown.notify_all();
    }
}

impl Printed {
    /// Reads this pipe from now on.
    pub fn drain(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let reading = Reading(self.clone());
        std::thread::spawn(move || {
            let printed = &reading.0;
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

    /// Waits until `count` lines contain `text`, and gives the last of them. It does not wait for a server that has ended.
    pub fn wait_for(&self, time: Duration, text: &str, count: usize) -> String {
        let deadline = Instant::now() + time;
        let mut lines = self.lines();
        loop {
            let mut found = lines.iter().filter(|line| line.contains(text));
            if let Some(line) = found.nth(count - 1) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let is_over = self.open.load(Ordering::Relaxed) == 0;
            assert!(
                !left.is_zero() && !is_over,
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
