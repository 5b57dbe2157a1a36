//! What the operator is told of guests is bounded: a guest can bring such a line about as often as it likes, and choose
//! what is named in it.

use crate::warning;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many of these lines leave a worker in a second.
const LINES: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);

/// A line longer than this many bytes is cut.
const LONGEST: usize = 4 << 10;

/// Warns of something that a guest has brought about.
macro_rules! tell {
    ($($message:tt)*) => { $crate::guest::host::about_guests::write(format_args!($($message)*)) };
}
pub(in crate::guest) use tell;

/// Writes the line, or leaves it out where too many came before it. That some are left out is said once in a second.
pub fn write(message: fmt::Arguments<'_>) {
    static LINES_WRITTEN: Mutex<Window> = Mutex::new(Window {
        since: None,
        lines: 0,
    });
    let mut window = LINES_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let nth = window.count(Instant::now());
    drop(window);
    match nth {
        ..LINES => warning!("{}", cut(&message.to_string())),
        LINES => warning!("more such warnings about guests are left out, for up to a second"),
        _ => {}
    }
}

/// A `Window` is a second in which lines are counted.
struct Window {
    since: Option<Instant>,
    lines: u32,
}

impl Window {
    /// Counts a line, and says how many came before it in its second.
    fn count(&mut self, now: Instant) -> u32 {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= SECOND {
            (self.since, self.lines) = (Some(now), 0);
        }
        let before = self.lines;
        self.lines = self.lines.saturating_add(1);
        before
    }
}

fn cut(text: &str) -> Cow<'_, str> {
    let fits = &text[..text.floor_char_boundary(LONGEST)];
    match fits.len() == text.len() {
        true => fits.into(),
        false => format!("{fits}…").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_second_so_many_lines_are_written() {
        let mut window = Window {
            since: None,
            lines: 0,
        };
        let start = Instant::now();
        let counted: Vec<u32> = (0..3).map(|_| window.count(start)).collect();
        assert_eq!(counted, [0, 1, 2]);
        assert_eq!(window.count(start + SECOND / 2), 3);
        assert_eq!(window.count(start + SECOND), 0);
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(cut("é"), "é");
        let long = "é".repeat(LONGEST);
        assert_eq!(cut(&long).len(), LONGEST + "…".len());
    }
}
