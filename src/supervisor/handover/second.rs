//! The executables of the second kind leave the same document as now, where sockets and code have notes in words.

use super::VERSION;
use crate::channel::{
    CodeInfo, FileIdentity, LeftListener, ListenerKind, Needs, Restore, SocketMaker, Target, World,
};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::os::fd::RawFd;

/// Translates the document into the one that is written now.
pub fn translate(mut document: Value) -> Result<Value> {
    let members = document.as_object_mut().context("it has no members")?;
    for name in ["listeners", "admin"] {
        if let Some(left) = members.remove(name) {
            let left: Vec<(RawFd, String)> = serde_json::from_value(left)?;
            let left = left.iter().map(|(fd, note)| listener(*fd, note));
            let left = left.collect::<Result<Vec<_>>>()?;
            members.insert(name.to_owned(), serde_json::to_value(left)?);
        }
    }
    let note = members.remove("note").context("there is no note")?;
    let info = code_info(note.as_str().context("the note is no text")?);
    members.insert("plan".to_owned(), serde_json::to_value(info)?);
    members.insert("version".to_owned(), VERSION.into());
    Ok(document)
}

/// Reads `https`, `redirect:443`, `http 2049:7` (the device and the number of the socket's file) or `http given`.
pub fn listener(fd: RawFd, note: &str) -> Result<LeftListener> {
    let (kind, rest) = note.split_once(' ').unzip();
    let kind = match kind.unwrap_or(note) {
        "http" => ListenerKind::Plain,
        "https" => ListenerKind::Tls,
        other => match other.strip_prefix("redirect:") {
            Some(port) => ListenerKind::Redirect {
                port: port.parse()?,
            },
            None => bail!("cannot understand what is handed over with a socket: `{note}`"),
        },
    };
    let maker = match rest {
        None => SocketMaker::Bound,
        Some("given") => SocketMaker::Given,
        Some(file) => {
            let (device, inode) = file.split_once(':').context("a word is missing")?;
            SocketMaker::File(FileIdentity {
                device: device.parse()?,
                inode: inode.parse()?,
            })
        }
    };
    Ok(LeftListener { fd, kind, maker })
}

/// Reads ten numbers, the last of which may be missing. None where it is something else, which was written before that:
/// the code has to be made anew then.
pub fn code_info(note: &str) -> Option<CodeInfo> {
    let numbers = note.split(' ').map(|word| word.parse().ok());
    let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
    let (numbers, lifecycle) = match numbers.len() {
        9 => (&numbers[..], false),
        10 => (&numbers[..9], numbers[9] == 1),
        _ => return None,
    };
    let [
        world,
        concurrent,
        restore,
        inlining,
        memories,
        initial_memory,
        tables,
        table_elements,
        websockets,
    ] = *numbers
    else {
        return None;
    };
    Some(CodeInfo {
        target: Target {
            world: match world {
                3 => World::P3,
                _ => World::P2,
            },
            concurrent: concurrent == 1,
            restore: match restore {
                0 => Restore::No,
                1 => Restore::Checked,
                _ => Restore::Fenced,
            },
            inlining: inlining == 1,
        },
        websockets: websockets == 1,
        lifecycle,
        needs: Needs {
            memories: memories.try_into().ok()?,
            initial_memory,
            tables: tables.try_into().ok()?,
            table_elements,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::Handover;
    use super::*;

    /// An executable of the second kind has written this document, with two workers and a Unix socket.
    const WRITTEN: &str = include_str!("second.json");

    #[test]
    fn what_the_second_executables_leave_is_understood() {
        let handover = Handover::read(WRITTEN.as_bytes()).unwrap();
        let of = |listener: &LeftListener| (listener.kind, listener.maker);
        let listeners: Vec<_> = handover.listeners.iter().map(of).collect();
        let (device, inode) = (65024, 10_043_611);
        let file = SocketMaker::File(FileIdentity { device, inode });
        let (kind, bound) = (ListenerKind::Plain, SocketMaker::Bound);
        assert_eq!(listeners, [(kind, file), (kind, bound)]);
        assert_eq!(handover.workers.len(), 2);
        assert!(handover.workers.iter().all(|it| it.receiver.is_some()));
        let info = handover.code_info.unwrap();
        assert_eq!(info.target.world, World::P2);
        assert_eq!(info.needs.initial_memory, 1 << 16);
        assert_eq!(handover.version, VERSION);
        assert!(!handover.is_first);
    }

    #[test]
    fn each_note_is_understood_or_refused() {
        let left = |note| listener(7, note).map(|left| (left.kind, left.maker));
        let file = SocketMaker::File(FileIdentity {
            device: 2049,
            inode: 7,
        });
        let redirect = ListenerKind::Redirect { port: 443 };
        assert_eq!(left("https 2049:7").unwrap(), (ListenerKind::Tls, file));
        assert_eq!(
            left("http given").unwrap(),
            (ListenerKind::Plain, SocketMaker::Given)
        );
        assert_eq!(
            left("redirect:443").unwrap(),
            (redirect, SocketMaker::Bound)
        );
        for note in ["", "gopher", "http 12", "redirect:x", "http 1:x"] {
            assert!(left(note).is_err(), "{note}");
        }
        assert!(!code_info("2 0 1 0 1 65536 1 10000 0").unwrap().lifecycle);
        assert!(code_info("3 1 0 1 1 65536 1 10000 1 1").unwrap().lifecycle);
        for note in [
            "",
            "0.2 memories=1",
            "2 0 1",
            "2 0 1 0 1 65536 1 10000 0 1 1",
            "2 0 1 0 -1 1 1 1 1",
        ] {
            assert_eq!(code_info(note), None, "{note}");
        }
    }
}
