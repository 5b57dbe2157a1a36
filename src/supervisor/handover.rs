//! A `Handover` is what one executable leaves to the next: numbers of descriptors, and where each worker stands, as
//! one document of JSON. That names what it holds, so that a member can be added which older executables need not
//! know. Reading and writing it is all that is done here.

mod first;
mod second;

use super::policy::Inherited;
use crate::channel::{CodeInfo, LeftListener, LeftMount};
use crate::scoreboard::Layout;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::os::fd::RawFd;

/// A document with another number is written in another way. What is added to it later is not known to executables
/// before that.
const VERSION: u32 = 3;

/// Documents of this number, the one before, are understood.
const SECOND: u32 = 2;

/// A `Handover` is everything that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    pub version: u32,
    pub scoreboard: RawFd,
    pub layout: Layout,
    /// The lifeline has an end that workers watch, and one that the supervisor holds.
    pub lifeline: (RawFd, RawFd),
    pub listeners: Vec<LeftListener>,
    /// The version that is served has this number.
    pub served: u32,
    pub code: RawFd,
    /// The compiler said this of the code; none where an older executable left what this one does not know.
    #[serde(rename = "plan")]
    pub code_info: Option<CodeInfo>,
    /// There should be this many workers.
    pub wanted: usize,
    pub workers: Vec<LeftWorker>,
    /// The admin process has these sockets.
    #[serde(default)]
    pub admin: Vec<LeftListener>,
    #[serde(default)]
    pub admin_process: Option<i32>,
    /// This process exports spans; it ends when its lifeline does, which is not handed over.
    #[serde(default)]
    pub exporter_process: Option<i32>,
    /// These processes write the logs of workers: this executable's, and those of executables before it.
    #[serde(default)]
    pub log_writers: Vec<LeftLogWriter>,
    /// These components are mounted beside the application.
    #[serde(default)]
    pub mounts: Vec<LeftMount>,
    /// The document comes from an executable of the first kind, which hears another answer.
    #[serde(skip)]
    pub is_first: bool,
}

/// A `LeftWorker` is one worker that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftWorker {
    pub worker: Inherited,
    pub slot: usize,
    /// The worker's messages come from this descriptor; none where they cannot be understood.
    pub receiver: Option<RawFd>,
}

/// A `LeftLogWriter` is a process that writes logs until nobody is left who has something to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftLogWriter {
    pub process: i32,
    /// The process takes orders from this descriptor.
    pub orders: RawFd,
    /// The process writes these logs, in this order.
    pub logs: Vec<String>,
}

impl Handover {
    /// Gives what is to be filled in.
    pub fn nothing() -> Handover {
        Handover {
            version: VERSION,
            scoreboard: -1,
            layout: Layout::own(0),
            lifeline: (-1, -1),
            listeners: Vec::new(),
            served: 0,
            code: -1,
            code_info: None,
            wanted: 0,
            workers: Vec::new(),
            admin: Vec::new(),
            admin_process: None,
            exporter_process: None,
            log_writers: Vec::new(),
            mounts: Vec::new(),
            is_first: false,
        }
    }

    pub fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("cannot write down what is handed over")
    }

    pub fn read(bytes: &[u8]) -> Result<Handover> {
        let text = std::str::from_utf8(bytes).context("what is handed over is no text")?;
        if text.lines().next() == Some(first::TITLE) {
            return first::parse(text);
        }
        let context = "cannot understand what is handed over";
        let document: Value = serde_json::from_str(text).context(context)?;
        let document = match document["version"]
            .as_u64()
            .and_then(|it| it.try_into().ok())
        {
            Some(VERSION) => document,
            Some(SECOND) => second::translate(document).context(context)?,
            _ => bail!("the running executable hands over in another way than this one"),
        };
        serde_json::from_value(document).context(context)
    }

    /// Lists all descriptors that are left.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let workers = self.workers.iter().filter_map(|left| left.receiver);
        let listeners = self.listeners.iter().chain(&self.admin);
        let listeners = listeners.map(|left| left.fd);
        let orders = self.log_writers.iter().map(|left| left.orders);
        [self.scoreboard, self.lifeline.0, self.lifeline.1, self.code]
            .into_iter()
            .chain(listeners)
            .chain(orders)
            .chain(workers)
            .chain(
                self.mounts
                    .iter()
                    .flat_map(|left| [left.listening, left.file]),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{FileIdentity, ListenerKind, SocketMaker};
    use crate::supervisor::policy::{Id, InheritedState};
    use serde_json::json;
    use std::time::Duration;

    fn handover() -> Handover {
        let worker = |id, state| LeftWorker {
            worker: Inherited {
                id: Id(id),
                pid: 4000,
                index: 1,
                generation: 2,
                state,
            },
            slot: 5,
            receiver: Some(17),
        };
        let time = Duration::from_millis(1234);
        let (device, inode) = (2049, 7);
        let file = FileIdentity { device, inode };
        let kind = ListenerKind::Redirect { port: 443 };
        let listener = |fd, maker| LeftListener { fd, kind, maker };
        Handover {
            scoreboard: 4,
            layout: Layout::own(64),
            lifeline: (5, 6),
            listeners: vec![
                listener(7, SocketMaker::Bound),
                listener(8, SocketMaker::File(file)),
            ],
            served: 2,
            code: 9,
            code_info: second::code_info("2 0 1 0 1 65536 1 10000 0"),
            admin: vec![listener(10, SocketMaker::Given)],
            admin_process: Some(4001),
            wanted: 2,
            workers: vec![
                worker(3, InheritedState::Ready { age: time }),
                worker(4, InheritedState::Starting { age: time }),
                worker(5, InheritedState::Leaving { left: time }),
            ],
            log_writers: vec![LeftLogWriter {
                process: 4002,
                orders: 18,
                logs: vec!["/log".to_owned()],
            }],
            mounts: vec![LeftMount {
                name: "/api".to_owned(),
                listening: 19,
                file: 20,
                process: Some(4003),
            }],
            ..Handover::nothing()
        }
    }

    #[test]
    fn what_is_handed_over_arrives() {
        for handover in [handover(), Handover::nothing()] {
            let written = handover.write().unwrap();
            assert_eq!(Handover::read(&written).unwrap(), handover);
        }
    }

    /// An executable of another day wrote this: what things are called in it must not change with their names here.
    #[test]
    fn a_document_that_was_written_under_other_names_is_understood() {
        let listener = |fd, maker| {
            let kind = json!({"Redirect": {"port": 443}});
            json!({"fd": fd, "kind": kind, "maker": maker})
        };
        let worker = |id, state| {
            let worker = json!({"id": id, "pid": 4000, "seat": 1, "generation": 2, "state": state});
            json!({"worker": worker, "slot": 5, "receiver": 17})
        };
        let time = json!({"secs": 1, "nanos": 234_000_000});
        let document = json!({
            "version": 3,
            "scoreboard": 4,
            "layout": Layout::own(64),
            "lifeline": [5, 6],
            "listeners": [
                listener(7, json!("Bound")),
                listener(8, json!({"File": {"device": 2049, "inode": 7}})),
            ],
            "served": 2,
            "code": 9,
            "plan": {
                "target":
                    {"world": "P2", "concurrent": false, "restore": "Checked", "inlining": false},
                "websockets": false,
                "lifecycle": false,
                "needs":
                    {"memories": 1, "initial_memory": 65536, "tables": 1, "table_elements": 10000},
            },
            "wanted": 2,
            "workers": [
                worker(3, json!({"Ready": {"age": time}})),
                worker(4, json!({"Starting": {"age": time}})),
                worker(5, json!({"Leaving": {"left": time}})),
            ],
            "admin": [listener(10, json!("Given"))],
            "admin_process": 4001,
            "exporter_process": null,
            "log_writers": [{"process": 4002, "orders": 18, "logs": ["/log"]}],
            "mounts": [{"name": "/api", "listening": 19, "file": 20, "process": 4003}],
        });
        let read = Handover::read(document.to_string().as_bytes()).unwrap();
        assert_eq!(read, handover());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in [
            &b""[..],
            b"wasmserve handover 2\n",
            b"wasmserve handover 1\nsomething else\n",
            b"{\"version\":4}",
            b"{\"version\":3}",
            b"{\"version\":2}",
            b"{\"version\":2,\"note\":7}",
            b"{\"version\":2,\"listeners\":[[7,\"gopher\"]],\"note\":\"\"}",
            b"[]",
            b"3",
            b"\xff\xfe",
        ] {
            assert!(Handover::read(text).is_err(), "{text:?}");
        }
        let written = handover().write().unwrap();
        for length in 0..written.len() {
            assert!(Handover::read(&written[..length]).is_err(), "{length}");
        }
        // Whatever is changed is either understood or refused.
        for place in 0..written.len() {
            for byte in [0, b'-', b'9', b'"', 0xff] {
                let mut garbled = written.clone();
                garbled[place] = byte;
                let _ = Handover::read(&garbled);
            }
        }
    }
}
