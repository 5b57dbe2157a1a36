//! The system's log gets lines from the pipe of the log. This file says what they are like there, and what is sent of
//! them to whoever keeps the log.

use super::Level;
use super::destination::Destination;
use crate::sys::file;
use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;

/// Other programs that stay in the background are of this facility too (LOG_DAEMON, syslog(3)).
const DAEMON: u8 = 3;

/// Lines are found by this name.
const NAME: &str = "wasmserve";

/// A `SystemLog` is a way of keeping the system's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemLog {
    Syslog,
    Journal,
}

impl SystemLog {
    pub fn of(destination: &Destination) -> Option<SystemLog> {
        match destination {
            Destination::Syslog(_) => Some(SystemLog::Syslog),
            Destination::Journal(_) => Some(SystemLog::Journal),
            Destination::Standard | Destination::File(_) => None,
        }
    }
}

/// Puts before each line how important it is, and which process it is from.
pub fn marked(level: Level, text: &str) -> String {
    let (severity, pid) = (severity(level), std::process::id());
    let mut marked = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        let _ = writeln!(marked, "{severity}{pid} {line}");
    }
    marked
}

/// Computes the severity as a digit (syslog(3)).
fn severity(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Takes the mark from a line: severity, process, and the rest.
fn parted(line: &[u8]) -> (u8, &[u8], &[u8]) {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let space = line.iter().position(|byte| *byte == b' ');
    match (line.first(), space) {
        (Some(severity @ b'0'..=b'7'), Some(space))
            if space > 1 && line[1..space].iter().all(digit) =>
        {
            (severity - b'0', &line[1..space], &line[space + 1..])
        }
        _ => (6, b"", line),
    }
}

/// Sends one line. Fails where it cannot be sent now.
pub fn send(service: SystemLog, target: &OwnedFd, line: &[u8]) -> io::Result<()> {
    let message = message(service, line);
    match file::send_datagram(target, &message) {
        // What is too long for whoever keeps the log is told in part.
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) && message.len() > 2048 => {
            file::send_datagram(target, &message[..2048])
        }
        other => other,
    }
}

fn message(service: SystemLog, line: &[u8]) -> Vec<u8> {
    let (severity, pid, text) = parted(line);
    let pid = String::from_utf8_lossy(pid);
    let mut message = match service {
        // Whoever receives it knows the time.
        SystemLog::Syslog => format!("<{}>{NAME}[{pid}]: ", DAEMON << 3 | severity).into_bytes(),
        SystemLog::Journal => format!(
            "PRIORITY={severity}\nSYSLOG_FACILITY={DAEMON}\nSYSLOG_IDENTIFIER={NAME}\nSYSLOG_PID={pid}\nMESSAGE="
        )
        .into_bytes(),
    };
    message.extend_from_slice(text);
    if service == SystemLog::Journal {
        message.push(b'\n');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reaches_the_systems_log_with_its_severity() {
        let pid = std::process::id();
        let marked = marked(Level::Warning, "one\n    two\n");
        let lines: Vec<&str> = marked.lines().collect();
        assert_eq!(lines, [format!("4{pid} one"), format!("4{pid}     two")]);
        let syslog = message(SystemLog::Syslog, lines[0].as_bytes());
        assert_eq!(syslog, format!("<28>wasmserve[{pid}]: one").into_bytes());
        let journal = message(SystemLog::Journal, lines[1].as_bytes());
        let expected = format!(
            "PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=wasmserve\nSYSLOG_PID={pid}\nMESSAGE=    two\n"
        );
        assert_eq!(journal, expected.into_bytes());
        assert_eq!(parted(b"8x y"), (6, &b""[..], &b"8x y"[..]));
    }
}
