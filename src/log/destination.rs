//! A `Destination` is where lines go: to a standard stream, to a file, or to the system's log.

use super::line_writer::LineWriter;
use super::pipes;
use crate::sys::file::{self, LogTarget};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Programs leave messages for the system's log here (syslog(3)).
const SYSLOG: &str = "/dev/log";

/// systemd's journal takes entries here (systemd.io/JOURNAL_NATIVE_PROTOCOL).
const JOURNAL: &str = "/run/systemd/journal/socket";

/// A `Destination` is where one of the two logs goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Lines go to the standard stream that is meant for them.
    #[default]
    Standard,
    File(PathBuf),
    /// Whoever receives at this socket keeps the system's log.
    Syslog(PathBuf),
    Journal(PathBuf),
}

impl Destination {
    /// Reads `-`, a path, `syslog`, `journald`, or one of the latter two with the path of their socket.
    pub fn parse(text: &str) -> Result<Destination> {
        let (service, socket) = match text.split_once(':') {
            Some((service, socket)) => (service, Some(Path::new(socket))),
            None => (text, None),
        };
        match service {
            "" => bail!("it is empty; write a path, `-`, `syslog` or `journald`"),
            "-" if socket.is_none() => Ok(Destination::Standard),
            "syslog" => absolute(socket.unwrap_or(Path::new(SYSLOG))).map(Destination::Syslog),
            "journald" => absolute(socket.unwrap_or(Path::new(JOURNAL))).map(Destination::Journal),
            _ => absolute(Path::new(text)).map(Destination::File),
        }
    }

    /// Says whether whoever receives the lines knows when they were written, and how important they are.
    pub fn is_service(&self) -> bool {
        matches!(self, Destination::Syslog(_) | Destination::Journal(_))
    }

    /// Opens the destination, and has the output write there.
    pub(super) fn begin(&self, output: &'static LineWriter) -> Result<()> {
        if *self == Destination::Standard {
            return Ok(());
        }
        match self.open()? {
            // It has one reader, or takes everything at once.
            LogTarget::Other(fd) => output.redirect(fd),
            LogTarget::Kept(fd) => pipes::add(self, fd, output).context("cannot make a pipe")?,
        }
        Ok(())
    }

    pub(super) fn open(&self) -> Result<LogTarget> {
        let opened = match self {
            Destination::Standard => bail!("a standard stream is open"),
            Destination::File(path) => file::open_log(path),
            Destination::Syslog(path) | Destination::Journal(path) => file::connect_log(path),
        };
        let path = self.path().unwrap_or(Path::new("-"));
        opened.with_context(|| format!("cannot open `{}`", path.display()))
    }

    pub fn path(&self) -> Option<&Path> {
        match self {
            Destination::Standard => None,
            Destination::File(path) | Destination::Syslog(path) | Destination::Journal(path) => {
                Some(path)
            }
        }
    }
}

/// Makes a path absolute: what is opened again later is meant to be the same, wherever that is done from.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let parse = |text| Destination::parse(text).unwrap();
        assert_eq!(parse("-"), Destination::Standard);
        assert_eq!(parse("/a/b"), Destination::File("/a/b".into()));
        assert_eq!(parse("/a:b"), Destination::File("/a:b".into()));
        assert_eq!(parse("syslog"), Destination::Syslog(SYSLOG.into()));
        assert_eq!(parse("journald:/s"), Destination::Journal("/s".into()));
        assert!(matches!(parse("a.log"), Destination::File(path) if path.is_absolute()));
        assert!(Destination::parse("").is_err());
    }
}
