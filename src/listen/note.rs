//! What is handed over with a listening socket, in words.

use super::unix::Identity;
use crate::connection::ListenerKind;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: ListenerKind,
    /// The file that was made for it.
    pub file: Option<Identity>,
    /// Whether somebody else made it.
    pub given: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ListenerKind::Plain => write!(f, "http")?,
            ListenerKind::Tls => write!(f, "https")?,
            ListenerKind::Redirect { port } => write!(f, "redirect:{port}")?,
        }
        if let Some(Identity { device, inode }) = self.file {
            write!(f, " {device}:{inode}")?;
        } else if self.given {
            write!(f, " given")?;
        }
        Ok(())
    }
}

impl FromStr for Note {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Note> {
        let (kind, file) = text.split_once(' ').unzip();
        let kind = match kind.unwrap_or(text) {
            "http" => ListenerKind::Plain,
            "https" => ListenerKind::Tls,
            other => match other.strip_prefix("redirect:") {
                Some(port) => ListenerKind::Redirect {
                    port: port.parse()?,
                },
                None => bail!("cannot understand what is handed over with a socket: `{text}`"),
            },
        };
        let identity = |text: &str| {
            let (device, inode) = text.split_once(':').context("a word is missing")?;
            anyhow::Ok(Identity {
                device: device.parse()?,
                inode: inode.parse()?,
            })
        };
        let given = file == Some("given");
        Ok(Note {
            kind,
            file: file.filter(|_| !given).map(identity).transpose()?,
            given,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        let identity = Identity {
            device: 2049,
            inode: 77,
        };
        for kind in [
            ListenerKind::Plain,
            ListenerKind::Tls,
            ListenerKind::Redirect { port: 443 },
        ] {
            for (file, given) in [(None, false), (None, true), (Some(identity), false)] {
                let note = Note { kind, file, given };
                assert_eq!(note.to_string().parse::<Note>().unwrap(), note);
            }
        }
        assert!("gopher".parse::<Note>().is_err());
        assert!("http 12".parse::<Note>().is_err());
    }
}
