//! `FieldNames` says what is known of the fields of a block by their names: whether it has pseudo-header fields, and
//! whether it has malformed ones. In trailers pseudo-header fields make a request malformed (RFC 9113 section 8.1), and the library
//! beneath drops them there without a word: another reader may take them for the request's.

use http::{HeaderName, HeaderValue, Method};
use std::collections::VecDeque;

/// What a client adds to the static table (RFC 7541 appendix A) comes behind it.
const STATIC: usize = 61;

/// A client's table has room for this many entries: it has 4,096 bytes (RFC 9113 section 6.5.2), and an entry takes 32 more than
/// its text.
const MOST: usize = 128;

/// A `FieldName` says what kind of field a name is that of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldName {
    Ordinary,
    Method,
    Path,
    /// Another pseudo-header field.
    Pseudo,
    /// No field of a request has this name.
    Malformed,
}

#[derive(Default)]
pub struct FieldNames {
    /// What is known of the entries that the client has added, the newest first. Others count as ordinary fields. Which of
    /// them the table still has room for need not be known: whoever refers to another ends the connection.
    added: VecDeque<Field>,
    has_pseudo: bool,
    is_malformed: bool,
}

/// A `Field` is what is known of one field.
#[derive(Clone, Copy)]
struct Field {
    name: FieldName,
    is_malformed: bool,
}

impl FieldName {
    /// Says what this is the name of (RFC 9113 sections 8.2.1 and 8.3).
    pub fn of(name: &[u8]) -> FieldName {
        match name {
            b":method" => FieldName::Method,
            b":path" => FieldName::Path,
            b":authority" | b":scheme" | b":protocol" => FieldName::Pseudo,
            _ if HeaderName::from_lowercase(name).is_ok() => FieldName::Ordinary,
            _ => FieldName::Malformed,
        }
    }

    /// Pseudo-header fields come first in the static table.
    fn in_static_table(index: usize) -> FieldName {
        match index {
            2 | 3 => FieldName::Method,
            4 | 5 => FieldName::Path,
            1 | 6..=14 => FieldName::Pseudo,
            _ => FieldName::Ordinary,
        }
    }

    /// Says whether a field of this name may have this value. Paths are judged elsewhere.
    pub fn may_have(self, value: &[u8]) -> bool {
        const BLANKS: [Option<&u8>; 2] = [Some(&b' '), Some(&b'\t')];
        match self {
            FieldName::Ordinary | FieldName::Malformed => {
                let has_blanks = BLANKS.contains(&value.first()) || BLANKS.contains(&value.last());
                !has_blanks && HeaderValue::from_bytes(value).is_ok()
            }
            FieldName::Method => Method::from_bytes(value).is_ok(),
            FieldName::Pseudo => std::str::from_utf8(value).is_ok(),
            FieldName::Path => true,
        }
    }
}

impl FieldNames {
    /// Begins a block.
    pub fn begin(&mut self) {
        self.has_pseudo = false;
        self.is_malformed = false;
    }

    /// A block was not looked at, which may have added anything: of what is behind what comes after it nothing is known.
    pub fn forget(&mut self) {
        self.added.clear();
    }

    pub fn has_pseudo(&self) -> bool {
        self.has_pseudo
    }

    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Finds the name that is in the tables, in this place.
    pub fn indexed(&self, index: usize) -> FieldName {
        self.entry(index).name
    }

    fn entry(&self, index: usize) -> Field {
        let added = index.checked_sub(STATIC + 1);
        let added = added.and_then(|at| self.added.get(at).copied());
        added.unwrap_or_else(|| Field {
            name: FieldName::in_static_table(index),
            is_malformed: false,
        })
    }

    /// Takes note of a field that is in the tables, in this place.
    pub fn see_indexed(&mut self, index: usize) {
        self.note(self.entry(index));
    }

    /// Takes note of a field, which the client may have added to its table.
    pub fn see(&mut self, name: FieldName, is_malformed: bool, is_added: bool) {
        let field = Field { name, is_malformed };
        self.note(field);
        if is_added {
            self.added.truncate(MOST - 1);
            self.added.push_front(field);
        }
    }

    fn note(&mut self, field: Field) {
        let is_ordinary = matches!(field.name, FieldName::Ordinary | FieldName::Malformed);
        self.has_pseudo |= !is_ordinary;
        self.is_malformed |= field.is_malformed || field.name == FieldName::Malformed;
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets::Targets;

    fn has_pseudo(targets: &mut Targets, block: &[u8]) -> bool {
        targets.examine(&mut block.to_vec()).has_pseudo
    }

    #[test]
    fn pseudo_header_fields_are_found_however_they_are_named() {
        let mut targets = Targets::default();
        let name =
            |first: &[u8], name: &[u8]| [first, &[name.len() as u8], name, b"\x01v"].concat();
        for first in [0x00, 0x10, 0x40] {
            assert!(has_pseudo(&mut targets, &name(&[first], b":path")));
            assert!(!has_pseudo(&mut targets, &name(&[first], b"x-path")));
        }
        // `:path` in Huffman code.
        assert!(has_pseudo(&mut targets, b"\x00\x84\xb9\x58\xd3\x3f\x01v"));
        // `:method: GET` and `accept-charset` of the static table, and a value for `:status`.
        assert!(has_pseudo(&mut targets, b"\x82"));
        assert!(!has_pseudo(&mut targets, b"\x8f"));
        assert!(has_pseudo(&mut targets, b"\x08\x03201"));
        // The fields that were added above: `x-path` is the newest, `:path` is behind it.
        assert!(!has_pseudo(&mut targets, b"\xbe"));
        assert!(has_pseudo(&mut targets, b"\xbf"));
        assert!(has_pseudo(&mut targets, b"\x7f\x00\x01v"));
        // That has added a third, by the name of the second.
        assert!(has_pseudo(&mut targets, b"\xbe"));
        assert!(!has_pseudo(&mut targets, b"\xbf"));
    }

    #[test]
    fn no_more_is_kept_than_a_table_has_room_for() {
        let mut targets = Targets::default();
        for _ in 0..1000 {
            assert!(has_pseudo(&mut targets, b"\x41\x01v"));
        }
        // 61 and 128 are within what is kept, and more are not.
        assert!(has_pseudo(&mut targets, b"\xff\x3e"));
        assert!(!has_pseudo(&mut targets, b"\xff\x3f"));
    }
}
