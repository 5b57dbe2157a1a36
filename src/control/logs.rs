//! `wasmserve logs` prints the last lines of a server's log, and those that come. Whoever answers ends with the server, or
//! is replaced; then it is asked for what was written since.

use super::ask::{AdminSocket, understood};
use super::{found, told};
use crate::cli::Logs;
use crate::exit::{Exit, Status};
use crate::log::{self, Level};
use crate::sys::socket::is_listened_on;
use anyhow::{Context, Result, anyhow, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The server is asked again after this long.
const PAUSE: Duration = Duration::from_millis(200);

/// No line of the server's is longer, by far.
const LONGEST: u64 = 1 << 20;

/// `LogEnd` says how the lines of one answer ended.
enum LogEnd {
    /// There are no more.
    All,
    /// Nobody reads what is printed.
    Unread,
}

/// Prints the lines that are asked for.
pub fn run(asked: &Logs) -> Result<Status> {
    if Level::parse(&asked.level).is_none() {
        let unknown = anyhow!(
            "option --level: `{}` is no level",
            log::escape(&asked.level)
        );
        return Err(unknown).exits(Status::Usage);
    }
    let server = found(&asked.server)?;
    let (mut last_us, mut lines) = (0, asked.lines);
    loop {
        let target = format!(
            "/logs?lines={lines}&after={last_us}&follow={}&access={}&level={}",
            asked.follow, asked.access, asked.level
        );
        let answer = match open(&server, &target) {
            // The server has ended, and whoever took the question is gone with it.
            Err(_) if last_us != 0 && !runs(&server) => return Ok(Status::Stopped),
            Err(_) if last_us != 0 => None,
            answer => Some(answer?),
        };
        let ended = answer.map(|answer| print(answer, &mut last_us));
        if let Some(LogEnd::Unread) = ended.transpose()? {
            return Ok(Status::Stopped);
        }
        if !asked.follow || !runs(&server) {
            return Ok(Status::Stopped);
        }
        lines = usize::MAX;
        last_us = last_us.max(1);
        std::thread::sleep(PAUSE);
    }
}

fn runs(server: &AdminSocket) -> bool {
    is_listened_on(&server.path).unwrap_or(false)
}

/// Asks, and reads the head of the answer.
fn open(server: &AdminSocket, target: &str) -> Result<BufReader<UnixStream>> {
    let mut answer = BufReader::new(server.send("GET", target)?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = answer.by_ref().take(LONGEST).read_line(&mut head);
        if read.context("the server does not answer")? == 0 {
            bail!("the server ended before it answered");
        }
    }
    if head.get(9..12) == Some("200") {
        answer.get_ref().set_read_timeout(None)?;
        return Ok(answer);
    }
    let mut body = String::new();
    answer.take(LONGEST).read_to_string(&mut body)?;
    told(&understood([head, body].concat().as_bytes())?, false)?;
    bail!("the server gives no log")
}

/// Prints line after line, without the time that each begins with.
fn print(mut answer: BufReader<UnixStream>, last_us: &mut u64) -> Result<LogEnd> {
    let mut stdout = std::io::stdout().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = answer.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        // A connection that breaks off is the end of the server, or of whoever answered.
        if !matches!(read, Ok(1..)) || !line.ends_with(b"\n") {
            return Ok(LogEnd::All);
        }
        let text = String::from_utf8_lossy(&line[..line.len() - 1]);
        let text = match text.split_once(' ') {
            Some((time, rest)) if time.parse::<u64>().is_ok() => {
                *last_us = time.parse().context("the time of a line")?;
                rest
            }
            _ => &text,
        };
        if writeln!(stdout, "{}", log::escape(text)).is_err() || stdout.flush().is_err() {
            return Ok(LogEnd::Unread);
        }
    }
}
