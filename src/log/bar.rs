//! A bar on a terminal, or a line now and then elsewhere, shows how far something has come that takes a while.

use super::{Destination, Format, Level, STDERR, escape, settings};
use crate::info;
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is over sooner needs no bar.
const FIRST: Duration = Duration::from_millis(300);

/// A bar is drawn anew this often, and a line is written this often where there is none.
const DRAWN: Duration = Duration::from_millis(100);
const WRITTEN: Duration = Duration::from_secs(10);

/// The bar itself has this many columns, and what is said before it this many.
const WIDTH: u64 = 30;
const LONGEST: usize = 40;

/// A `Bar` disappears from the terminal when it is dropped.
pub struct Bar {
    what: String,
    total: Option<u64>,
    place: BarOutput,
    begun: Instant,
    next: Instant,
    is_drawn: bool,
}

enum BarOutput {
    Terminal,
    Log,
}

impl Bar {
    /// Begins to show this, of which there is this much, where that is known.
    pub fn new(what: String, total: Option<u64>) -> Bar {
        let begun = Instant::now();
        let place = match draws() {
            true => BarOutput::Terminal,
            false => BarOutput::Log,
        };
        let first = match place {
            BarOutput::Terminal => FIRST,
            BarOutput::Log => WRITTEN,
        };
        Bar {
            what,
            total,
            place,
            begun,
            next: begun + first,
            is_drawn: false,
        }
    }

    /// Notes that this much is done now.
    pub fn advance(&mut self, done: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let seconds = (now - self.begun).as_secs();
        match self.place {
            BarOutput::Terminal => {
                let text = drawn(&self.what, done, self.total, seconds);
                // What is written next begins where this does.
                let _ = STDERR.emit(&format!("\x1b[K{text}\r"), |_, _| String::new());
                self.is_drawn = true;
                self.next = now + DRAWN;
            }
            BarOutput::Log => {
                let share = self.total.map(|total| share(done, total));
                let share = share.map_or(String::new(), |share| format!(", {share} %"));
                info!("{} … {seconds} s{share}", self.what);
                self.next = now + WRITTEN;
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_drawn {
            let _ = STDERR.emit("\x1b[K", |_, _| String::new());
        }
    }
}

/// Says whether whoever reads the log sees a bar.
fn draws() -> bool {
    let settings = settings();
    let plain = settings.format == Format::Text && settings.file == Destination::Standard;
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    plain && Level::Info <= settings.level && !dumb && std::io::stderr().is_terminal()
}

/// Computes a share in percent.
fn share(done: u64, total: u64) -> u64 {
    match total {
        0 => 100,
        total => (u128::from(done.min(total)) * 100 / u128::from(total)) as u64,
    }
}

fn drawn(what: &str, done: u64, total: Option<u64>, seconds: u64) -> String {
    let what = escape(what).to_string();
    let what: String = what.chars().take(LONGEST).collect();
    let Some(total) = total else {
        // Something moves.
        let turns = ["|", "/", "-", "\\"];
        return format!("{what} {} {seconds} s", turns[(seconds % 4) as usize]);
    };
    let share = share(done, total);
    let full = share * WIDTH / 100;
    let (full, empty) = (full as usize, (WIDTH - full) as usize);
    let of = (done as f64 / 1e6, total as f64 / 1e6);
    format!(
        "{what} [{}{}] {share:3} % {:.1}/{:.1} MB",
        "#".repeat(full),
        " ".repeat(empty),
        of.0,
        of.1
    )
}

/// A `Spinner` shows that something goes on which does not tell how far it has come.
pub struct Spinner {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Spinner {
    /// Begins a thread that shows it. Where there can be none, nothing is shown.
    pub fn start(what: String) -> Spinner {
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let thread = thread.spawn(move || {
            let mut bar = Bar::new(what, None);
            while ended.recv_timeout(DRAWN) == Err(RecvTimeoutError::Timeout) {
                bar.advance(0);
            }
        });
        Spinner {
            end: Some(end),
            thread: thread.ok(),
        }
    }
}

impl Spinner {
    /// Shows it for as long as this work takes.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_what_how_much_and_of_how_much() {
        let text = drawn("Pulling x", 5_000_000, Some(20_000_000), 3);
        assert_eq!(
            text,
            format!(
                "Pulling x [{}{}]  25 % 5.0/20.0 MB",
                "#".repeat(7),
                " ".repeat(23)
            )
        );
        assert!(drawn("Pulling x", 9, Some(0), 0).contains("100 %"));
        assert!(drawn("x", u64::MAX, Some(u64::MAX), 0).contains("100 %"));
        assert_eq!(
            drawn("Compiling \x1b[2J", 0, None, 5)
                .matches('\x1b')
                .count(),
            0
        );
        assert!(drawn(&"x".repeat(500), 0, None, 5).len() < 60);
    }
}
