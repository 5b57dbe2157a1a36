//! `MalformedStreams` are those whose heads have fields that no message may have: the library beneath sees others in their
//! place, and hands such requests out.

use std::collections::VecDeque;

/// This many are remembered: more than wait to be handed out, as a rule.
const MOST: usize = 256;

#[derive(Default)]
pub struct MalformedStreams {
    /// The last of them comes last.
    streams: VecDeque<u32>,
    /// There were more than are remembered: no request of this connection is taken any more.
    are_unknown: bool,
}

impl MalformedStreams {
    pub fn add(&mut self, stream: u32) {
        match self.streams.len() < MOST {
            true => self.streams.push_back(stream),
            false => self.are_unknown = true,
        }
    }

    /// Says whether this stream is one of them. It is handed out: those before it have been, or never will be.
    pub fn take(&mut self, stream: u32) -> bool {
        while self.streams.front().is_some_and(|first| *first < stream) {
            self.streams.pop_front();
        }
        let is_malformed = self.streams.front() == Some(&stream);
        is_malformed || self.are_unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_stream_is_known_until_those_behind_it_are_handed_out() {
        let mut malformed = MalformedStreams::default();
        for stream in [3, 7, 9] {
            malformed.add(stream);
        }
        let found = [1, 3, 5, 9, 11].map(|stream| malformed.take(stream));
        assert_eq!(found, [false, true, false, true, false]);
    }

    #[test]
    fn where_too_many_were_to_be_remembered_none_is_taken() {
        let mut malformed = MalformedStreams::default();
        for stream in 0..=MOST as u32 {
            malformed.add(2 * stream + 1);
        }
        assert!(malformed.take(4 * MOST as u32 + 1));
    }
}
