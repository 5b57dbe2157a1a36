//! This file has targets of HTTP/2 requests pass that the library beneath does not take, although other servers do:
//! with bytes that are no UTF-8, or with `"`, `<`, `>` and `` ` ``. One would end the whole connection, or its stream.
//! They are replaced in the head before it is read, by as many bytes, so that the tables of header compression stay as
//! their client has them; and put back afterwards, percent-encoded as in HTTP/1. What is no target at all becomes one
//! that is malformed for that library too, which costs one stream. So do other fields that no message may have (RFC 9113
//! section 8.2.1): they would end the connection too, and some would be taken.

use super::field_names::{FieldName, FieldNames};
use super::huffman;
use super::request_target::{LONGEST_TARGET, encoded_length, is_for_a_url};
use http::Uri;
use std::collections::VecDeque;
use std::ops::Range;

/// This mark begins what stands for a target, and no other target has it; two digits follow, and as much as is to be
/// filled.
const MARK: char = '\u{80}';
const FILLING: u8 = b'_';
/// This stands for what no field may have; any name may have it, and any method.
const MALFORMED: u8 = b'x';
/// The shortest that can stand for a target has a `/`, the mark, and the digits.
const SHORTEST: usize = 5;

/// No more targets than have two digits are remembered, nor more bytes of them. A client's table has room for fewer
/// than 100 (RFC 9113 section 6.5.2).
const MOST: usize = 256;
const MOST_BYTES: usize = 64 << 10;

#[derive(Default)]
pub struct Targets {
    /// The last of them comes last, and `next` comes after it.
    kept: VecDeque<String>,
    next: u8,
    bytes: usize,
    /// Somebody may have sent what stands for a target.
    is_blind: bool,
    names: FieldNames,
}

/// `Examined` says what was found in a field block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// It has pseudo-header fields, which trailers may not have.
    pub has_pseudo: bool,
    /// It has a field that nobody may send.
    pub is_malformed: bool,
}

/// A `Text` in a head stands behind the byte that says how it is encoded.
struct Text {
    kind: usize,
    range: Range<usize>,
    is_encoded: bool,
}

/// A `TargetCheck` is what came of checking a target.
#[derive(Debug, PartialEq, Eq)]
enum TargetCheck {
    Leave,
    Replace(String),
    Refuse,
}

impl Targets {
    /// Replaces the target in a head, which is all of a field block, and what its other fields may not have.
    pub fn examine(&mut self, head: &mut [u8]) -> Examined {
        self.names.begin();
        // Where it ends too early, whoever reads it says so, or reads on what is not known here.
        if self.fields(head).is_none() {
            self.overlook();
        }
        Examined {
            has_pseudo: self.names.has_pseudo(),
            is_malformed: self.names.is_malformed(),
        }
    }

    /// Notes that a head was not examined.
    pub fn overlook(&mut self) {
        self.is_blind = true;
        self.names.forget();
    }

    /// Puts back what a target stands for; false where that is not known any more.
    pub fn restore(&self, target: &mut Uri) -> bool {
        let Some(path) = target.path_and_query().map(|path| path.as_str()) else {
            return true;
        };
        let Some(digits) = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(MARK))
        else {
            return true;
        };
        let number = digits
            .get(..2)
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        let behind =
            number.map(|number| usize::from(self.next.wrapping_sub(number).wrapping_sub(1)));
        let at = behind.and_then(|behind| self.kept.len().checked_sub(behind + 1));
        let Some(kept) = at
            .and_then(|at| self.kept.get(at))
            .filter(|_| !self.is_blind)
        else {
            return false;
        };
        let mut parts = std::mem::take(target).into_parts();
        parts.path_and_query = kept.parse().ok();
        *target = Uri::from_parts(parts).unwrap_or_default();
        true
    }

    /// Goes through the fields of a head (RFC 7541 section 6), to change what is to be changed.
    fn fields(&mut self, head: &mut [u8]) -> Option<()> {
        let mut at = 0;
        while let Some(first) = head.get(at) {
            let prefix = match first {
                0x80.. => {
                    let index = integer(head, &mut at, 7)?;
                    self.names.see_indexed(index);
                    continue;
                }
                0x40.. => 6,
                0x20.. => {
                    integer(head, &mut at, 5)?;
                    continue;
                }
                _ => 4,
            };
            let name = match integer(head, &mut at, prefix)? {
                0 => literal_name(head, &mut at)?,
                index => self.names.indexed(index),
            };
            let value = Text::read(head, &mut at)?;
            let is_malformed = !value.is_of(name, head);
            if is_malformed {
                value.fill(head, MALFORMED);
            }
            self.names.see(name, is_malformed, prefix == 6);
            if name == FieldName::Path {
                self.path(head, &value)?;
            }
        }
        Some(())
    }

    fn path(&mut self, head: &mut [u8], value: &Text) -> Option<()> {
        let target = value.decoded(head)?;
        let placeholder = match check(&target) {
            TargetCheck::Leave => return Some(()),
            TargetCheck::Replace(target) if value.range.len() >= SHORTEST => self.keep(target),
            // What is too short to be replaced is taken as it is, or costs its stream, unless it is no text.
            TargetCheck::Replace(_) if std::str::from_utf8(&target).is_ok() => return Some(()),
            TargetCheck::Replace(_) | TargetCheck::Refuse => " ".to_owned(),
        };
        value.fill(head, FILLING);
        let room = &mut head[value.range.clone()];
        for (byte, with) in room.iter_mut().zip(placeholder.bytes()) {
            *byte = with;
        }
        Some(())
    }

    /// Remembers a target; what stands for it.
    fn keep(&mut self, target: String) -> String {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += target.len();
        self.kept.push_back(target);
        while self.kept.len() > MOST || self.bytes > MOST_BYTES {
            let first = self.kept.pop_front();
            self.bytes -= first.map_or(0, |first| first.len());
        }
        format!("/{MARK}{number:02x}")
    }
}

impl Text {
    fn read(head: &[u8], at: &mut usize) -> Option<Text> {
        let kind = *at;
        let is_encoded = head.get(kind)? & 0x80 != 0;
        let length = integer(head, at, 7)?;
        let range = *at..at.checked_add(length)?;
        head.get(range.clone())?;
        *at = range.end;
        Some(Text {
            kind,
            range,
            is_encoded,
        })
    }

    fn decoded(&self, head: &[u8]) -> Option<Vec<u8>> {
        let bytes = &head[self.range.clone()];
        match self.is_encoded {
            true => huffman::decode(bytes),
            false => Some(bytes.to_vec()),
        }
    }

    /// Says whether it may be the value of a field of this name. What is no text at all is left to whoever reads it.
    fn is_of(&self, name: FieldName, head: &[u8]) -> bool {
        let bytes = &head[self.range.clone()];
        match self.is_encoded {
            false => name.may_have(bytes),
            true if name == FieldName::Ordinary && huffman::is_plain(bytes) => true,
            true => huffman::decode(bytes).is_none_or(|bytes| name.may_have(&bytes)),
        }
    }

    /// Puts as many of this byte in its place. What was encoded is not any more, and has as many bytes as its code had,
    /// which is shorter than itself: an entry of the table is no larger for us than for the client.
    fn fill(&self, head: &mut [u8], with: u8) {
        head[self.kind] &= 0x7f;
        head[self.range.clone()].fill(with);
    }
}

/// Reads a name that is no entry of a table.
fn literal_name(head: &mut [u8], at: &mut usize) -> Option<FieldName> {
    let text = Text::read(head, at)?;
    let name = FieldName::of(&text.decoded(head)?);
    if name == FieldName::Malformed {
        text.fill(head, MALFORMED);
    }
    Some(name)
}

/// Reads an integer (RFC 7541 section 5.1).
fn integer(head: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(*head.get(*at)?) & most;
    *at += 1;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(*head.get(*at)?);
        *at += 1;
        value += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Judges a target by the rules of HTTP/1.
fn check(target: &[u8]) -> TargetCheck {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0x80..);
    let is_long = encoded_length(target) > LONGEST_TARGET;
    if is_long || !target.iter().all(printable) || target.contains(&b'#') {
        return TargetCheck::Refuse;
    }
    if target.first() != Some(&b'/') || target.iter().copied().all(is_for_a_url) {
        return TargetCheck::Leave;
    }
    TargetCheck::Replace(encoded(target))
}

/// Percent-encodes in a target what no URL has.
pub fn encoded(target: &[u8]) -> String {
    let mut encoded = String::with_capacity(target.len() + 16);
    for byte in target {
        match is_for_a_url(*byte) {
            true => encoded.push(char::from(*byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
