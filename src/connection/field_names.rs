//! `FieldNames` says whether a field block has pseudo-header fields. In trailers these make a request malformed (RFC 9113
//! section 8.1), and the library beneath drops them there without a word: another reader may take them for the request's.

use std::collections::VecDeque;

/// Pseudo-header fields have these places in the static table (RFC 7541 appendix A), and what a client adds comes behind it.
const PSEUDO: std::ops::RangeInclusive<usize> = 1..=14;
const STATIC: usize = 61;

/// A client's table has room for this many entries: it has 4,096 bytes (RFC 9113 section 6.5.2), and an entry takes 32 more than
/// its text.
const MOST: usize = 128;

#[derive(Default)]
pub struct FieldNames {
    /// Whether each entry that the client has added is a pseudo-header field, the newest first. Which of them the table still
    /// has room for need not be known: whoever refers to another ends the connection.
    added: VecDeque<bool>,
    is_last_pseudo: bool,
    has_pseudo: bool,
}

impl FieldNames {
    /// Begins a block.
    pub fn begin(&mut self) {
        self.has_pseudo = false;
    }

    pub fn has_pseudo(&self) -> bool {
        self.has_pseudo
    }

    /// Takes note of a field of this name.
    pub fn see(&mut self, name: &[u8]) {
        self.note(name.first() == Some(&b':'));
    }

    /// Takes note of a field whose name is in the tables, in this place.
    pub fn see_indexed(&mut self, index: usize) {
        let added = index.checked_sub(STATIC + 1);
        let added = added.and_then(|at| self.added.get(at).copied());
        self.note(added.unwrap_or_else(|| PSEUDO.contains(&index)));
    }

    fn note(&mut self, is_pseudo: bool) {
        self.is_last_pseudo = is_pseudo;
        self.has_pseudo |= is_pseudo;
    }

    /// The client has added the last field to its table.
    pub fn keep_last(&mut self) {
        self.added.truncate(MOST - 1);
        self.added.push_front(self.is_last_pseudo);
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets::Targets;

    fn has_pseudo(targets: &mut Targets, block: &[u8]) -> bool {
        targets.examine(&mut block.to_vec())
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
