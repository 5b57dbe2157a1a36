//! A record is the form of a message: numbers at fixed places and a bounded text, each of which is checked when it is
//! read.
//!
//! It is our own, as a process that was taken over may send one: a fixed form cannot be wrong in interesting ways, and
//! a general decoder would be something to attack.

use super::code_info::{self, CodeInfo};
use super::{ChildMessage, CodeReport};
use crate::cache::{CodeName, CodeOrigin};
use crate::exit::Status;
use crate::log;

/// A record has as many bytes as a pipe takes and gives as one (PIPE_BUF, pipe(7)).
const SIZE: usize = 4096;

/// The text begins here: after the kind of the message, a number, and the length of the text.
const TEXT: usize = 12;

const FORKED: u32 = 1;
const READY: u32 = 2;
const SPENT: u32 = 3;
const FAILED: u32 = 4;
const FOUND: u32 = 5;
const CACHED: u32 = 6;
const WRITTEN: u32 = 7;
const STUCK: u32 = 8;

/// Code may have this many names, each of this many bytes.
const MOST_NAMES: usize = 2;
const NAME: usize = 40;

/// `Garbage` is what nobody sends who means well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// A `Record` has three numbers of four bytes each in this machine's order, and the text.
#[repr(C)]
pub(super) struct Record([u8; SIZE]);

impl Default for Record {
    fn default() -> Record {
        Record([0; SIZE])
    }
}

impl From<&ChildMessage> for Record {
    fn from(message: &ChildMessage) -> Record {
        match message {
            ChildMessage::Forked { pid } => Record::new(FORKED, *pid, b""),
            ChildMessage::Ready => Record::new(READY, 0, b""),
            ChildMessage::Spent => Record::new(SPENT, 0, b""),
            ChildMessage::Stuck => Record::new(STUCK, 0, b""),
            ChildMessage::Found(name) => Record::new(FOUND, 0, &name.to_bytes()),
            ChildMessage::Code(report) => Record::of_code(report),
            ChildMessage::Failed { status, text } => {
                let text = &text[..text.floor_char_boundary(SIZE - TEXT)];
                Record::new(FAILED, status.code(), text.as_bytes())
            }
        }
    }
}

impl Record {
    fn new(kind: u32, number: i32, text: &[u8]) -> Record {
        let mut record = Record::default();
        record.0[..4].copy_from_slice(&kind.to_ne_bytes());
        record.0[4..8].copy_from_slice(&number.to_ne_bytes());
        record.0[8..TEXT].copy_from_slice(&(text.len() as u32).to_ne_bytes());
        record.0[TEXT..][..text.len()].copy_from_slice(text);
        record
    }

    fn of_code(report: &CodeReport) -> Record {
        let (kind, names) = match &report.origin {
            CodeOrigin::Cached(name) => (CACHED, std::slice::from_ref(name)),
            CodeOrigin::Written(names) => (WRITTEN, &names[..]),
        };
        let mut text = vec![names.len() as u8];
        names.iter().for_each(|name| text.extend(name.to_bytes()));
        text.extend(report.info.encode());
        Record::new(kind, report.index.cast_signed(), &text)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn word(&self, place: usize) -> [u8; 4] {
        let mut word = [0; 4];
        word.copy_from_slice(&self.0[place..place + 4]);
        word
    }

    /// Reads the message, if `length` bytes of it have come and each part is in its range.
    pub(super) fn message(&self, length: usize) -> Result<ChildMessage, Garbage> {
        if length != SIZE {
            return Err(Garbage);
        }
        let number = i32::from_ne_bytes(self.word(4));
        let text = u32::from_ne_bytes(self.word(8)) as usize;
        let text = self.0[TEXT..].get(..text).ok_or(Garbage)?;
        match u32::from_ne_bytes(self.word(0)) {
            FORKED if number > 1 => Ok(ChildMessage::Forked { pid: number }),
            READY => Ok(ChildMessage::Ready),
            SPENT => Ok(ChildMessage::Spent),
            STUCK => Ok(ChildMessage::Stuck),
            FOUND => {
                let name = text.try_into().map_err(|_| Garbage)?;
                Ok(ChildMessage::Found(CodeName::of_bytes(name)))
            }
            kind @ (CACHED | WRITTEN) => code(kind, number, text),
            FAILED => {
                let status = Status::of_code(number);
                let in_range = status.code() == number && status != Status::Stopped;
                let text = String::from_utf8_lossy(text).replace(['\n', '\r'], " ");
                let text = log::escape(&text).to_string();
                in_range
                    .then_some(ChildMessage::Failed { status, text })
                    .ok_or(Garbage)
            }
            _ => Err(Garbage),
        }
    }
}

/// Reads what was said about code: which it is, its names, and its `CodeInfo`.
fn code(kind: u32, number: i32, text: &[u8]) -> Result<ChildMessage, Garbage> {
    let (count, rest) = text.split_first().ok_or(Garbage)?;
    let count = usize::from(*count);
    if count > MOST_NAMES {
        return Err(Garbage);
    }
    let (names, info) = rest.split_at_checked(count * NAME).ok_or(Garbage)?;
    let info: &[u8; code_info::SIZE] = info.try_into().map_err(|_| Garbage)?;
    let (names, _) = names.as_chunks::<NAME>();
    let names: Vec<CodeName> = names.iter().map(CodeName::of_bytes).collect();
    let origin = match (kind, &names[..]) {
        (CACHED, [name]) => CodeOrigin::Cached(*name),
        (WRITTEN, _) => CodeOrigin::Written(names),
        _ => return Err(Garbage),
    };
    Ok(ChildMessage::Code(CodeReport {
        index: u32::try_from(number).map_err(|_| Garbage)?,
        origin,
        info: CodeInfo::decode(info)?,
    }))
}
