//! The admin process tells the last lines of all processes, and those that come: in the order in which they were written,
//! with what is asked for and nothing else. Lines are looked for, not announced, so that whoever reads them slowly keeps
//! nobody waiting.

use super::open_connections::OpenConnection;
use crate::log::recent::{RecentLine, RecentReader};
use crate::log::{self, Level};
use crate::scoreboard::Scoreboard;
use http::Uri;
use hyper::body::{Body, Bytes, Frame};
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// New lines are looked for this often.
const LOOK: Duration = Duration::from_millis(100);

/// `LogQuery` says which lines are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// This many of the last ones are wanted.
    most: usize,
    /// Lines that come later are wanted, too.
    pub follows: bool,
    /// Only lines of requests are wanted.
    access: bool,
    /// Only lines of this level are wanted, or of more important ones.
    level: Level,
    /// Only lines that were written after this are wanted, in microseconds since 1970.
    after_us: u64,
}

impl LogQuery {
    /// Reads the query of `/logs`.
    pub fn of(uri: &Uri) -> Result<LogQuery, &'static str> {
        let mut wanted = LogQuery {
            most: usize::MAX,
            follows: false,
            access: false,
            level: Level::Trace,
            after_us: 0,
        };
        let pairs = uri.query().unwrap_or_default().split('&');
        for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
            match name {
                "lines" => wanted.most = value.parse().map_err(|_| "lines is a number")?,
                "after" => wanted.after_us = value.parse().map_err(|_| "after is a number")?,
                "follow" => wanted.follows = value == "true",
                "access" => wanted.access = value == "true",
                "level" => {
                    wanted.level = Level::parse(value).ok_or("level is none that there is")?
                }
                _ => return Err("there is lines, after, follow, access and level"),
            }
        }
        Ok(wanted)
    }

    fn has(&self, line: &RecentLine) -> bool {
        line.time_us > self.after_us && line.level <= self.level && (line.is_access || !self.access)
    }
}

/// `Lines` knows how far the lines of all processes were read.
struct Lines {
    scoreboard: Rc<Scoreboard>,
    wanted: LogQuery,
    readers: Vec<RecentReader>,
}

impl Lines {
    /// Takes the lines that are new, by their time.
    fn take(&mut self, waits: bool) -> Vec<RecentLine> {
        let (mut lines, length) = (Vec::new(), self.scoreboard.length());
        for (index, reader) in self.readers.iter_mut().enumerate() {
            // A slot that was never a worker's takes no memory as long as nobody looks.
            if index >= length || self.scoreboard.entry(index).generation() != 0 {
                reader.read(self.scoreboard.recent(index), waits, &mut lines);
            }
        }
        // A worker that was taken over must not have the reader wait for a time that does not come.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_us = since.map_or(0, |time| time.as_micros() as u64);
        for line in &mut lines {
            line.time_us = line.time_us.min(now_us);
        }
        lines.retain(|line| self.wanted.has(line));
        lines.sort_by_key(|line| line.time_us);
        lines
    }
}

/// Writes each line after its time. What a worker that was taken over has put into a line acts on no terminal, and
/// begins with the time of the line wherever it goes on.
fn text(lines: &[RecentLine]) -> String {
    let mut text = String::new();
    for line in lines {
        for part in line.text.split('\n') {
            let _ = writeln!(text, "{} {}", line.time_us, log::escape(&plain(part)));
        }
    }
    text
}

/// Takes away the colours that a terminal had a line in (ECMA-48, SGR).
fn plain(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match rest.strip_prefix('m') {
            Some(rest) => plain.push_str(rest),
            None => {
                plain.push_str("\x1b[");
                plain.push_str(part);
            }
        }
    }
    plain
}

/// A `Log` has lines as the body of a response: the last ones, and those that come until the server ends.
pub struct Log {
    lines: Lines,
    first: Option<String>,
    look: Interval,
    /// At this time the client took something last, or there was nothing to take.
    progress: Rc<Cell<Instant>>,
    ends: Rc<Cell<bool>>,
    over: bool,
    /// Counts as one who follows, until this goes.
    _follower: Option<OpenConnection>,
}

impl Log {
    pub fn new(
        scoreboard: &Rc<Scoreboard>,
        wanted: LogQuery,
        progress: Rc<Cell<Instant>>,
        ends: &Rc<Cell<bool>>,
        follower: Option<OpenConnection>,
    ) -> Log {
        let rings = scoreboard.length() + 2;
        let mut lines = Lines {
            scoreboard: scoreboard.clone(),
            wanted,
            readers: vec![RecentReader::default(); rings],
        };
        let last = lines.take(false);
        let last = &last[last.len().saturating_sub(wanted.most)..];
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Log {
            first: Some(text(last)).filter(|text| !text.is_empty()),
            lines,
            look,
            progress,
            ends: ends.clone(),
            over: !wanted.follows,
            _follower: follower,
        }
    }
}

impl Body for Log {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.set(Instant::now());
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        while !self.over {
            ready!(self.look.poll_tick(cx));
            self.progress.set(Instant::now());
            self.over = self.ends.get();
            let waits = !self.over;
            let new = self.lines.take(waits);
            if !new.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(text(&new).into()))));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<LogQuery, &'static str> {
        LogQuery::of(&format!("/logs?{query}").parse().unwrap())
    }

    #[test]
    fn colours_go_and_the_rest_stays() {
        assert_eq!(plain("\x1b[32mINFO\x1b[0m:  x"), "INFO:  x");
        assert_eq!(plain("a\x1b[2Jb"), "a\x1b[2Jb");
        assert_eq!(plain(""), "");
    }

    /// A worker that was taken over writes into its ring whatever it wants.
    #[test]
    fn no_line_acts_on_a_terminal_or_forges_a_time() {
        let line = RecentLine {
            time_us: 5,
            is_access: false,
            level: Level::Info,
            text: "a\x1b[2J\r\n18446744073709551615 b\x1b[32mc\u{9b}".to_owned(),
        };
        let expected = "5 a\\u{1b}[2J\\r\n5 18446744073709551615 bc\\u{9b}\n";
        assert_eq!(text(&[line]), expected);
    }

    #[test]
    fn what_is_asked_for_is_understood_or_refused() {
        let line = |level, is_access| RecentLine {
            time_us: 5,
            is_access,
            level,
            text: String::new(),
        };
        let wanted = asked("level=warning&lines=7&follow=true&after=4").unwrap();
        assert!(wanted.follows && wanted.most == 7);
        assert!(wanted.has(&line(Level::Error, false)) && wanted.has(&line(Level::Warning, false)));
        assert!(!wanted.has(&line(Level::Info, true)));
        let wanted = asked("access=true").unwrap();
        assert!(wanted.has(&line(Level::Info, true)) && !wanted.has(&line(Level::Error, false)));
        assert!(!asked("after=5").unwrap().has(&line(Level::Error, false)));
        for query in ["lines=x", "level=loud", "after=-1", "x=y"] {
            assert!(asked(query).is_err(), "{query}");
        }
    }
}
