//! A `SharedText` stands in shared memory. It has one writer, and readers that see one of its versions, or a mixture
//! where the writer dies while it writes.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, fence};

/// A `SharedText` has up to `N` bytes.
#[derive(Debug)]
#[repr(C)]
pub struct SharedText<const N: usize> {
    /// The version is odd while the text is being written.
    version: AtomicU32,
    length: AtomicU32,
    bytes: [AtomicU8; N],
}

/// A reader begins again this often.
const ATTEMPTS: u32 = 100;

impl<const N: usize> SharedText<N> {
    /// Writes as much of a text as there is room for.
    pub(super) fn write(&self, text: &str) {
        let text = &text[..text.floor_char_boundary(N)];
        let version = self.version.load(Relaxed) | 1;
        self.version.store(version, Relaxed);
        fence(Release);
        self.length.store(text.len() as u32, Relaxed);
        for (cell, byte) in self.bytes.iter().zip(text.bytes()) {
            cell.store(byte, Relaxed);
        }
        self.version.store(version.wrapping_add(1), Release);
    }

    pub(super) fn read(&self) -> String {
        let mut bytes = Vec::new();
        for _ in 0..ATTEMPTS {
            let version = self.version.load(Acquire);
            let length = self.length.load(Relaxed) as usize;
            let cells = self.bytes.iter().take(length);
            bytes = cells.map(|cell| cell.load(Relaxed)).collect();
            fence(Acquire);
            if version.is_multiple_of(2) && version == self.version.load(Relaxed) {
                break;
            }
            // Its writer may have lost the processor.
            std::thread::yield_now();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written_and_cut_where_it_is_too_long() {
        let text: SharedText<5> = SharedText {
            version: AtomicU32::new(0),
            length: AtomicU32::new(0),
            bytes: [const { AtomicU8::new(0) }; 5],
        };
        assert_eq!(text.read(), "");
        for (written, read) in [("abc", "abc"), ("abcd\u{e4}", "abcd"), ("x", "x")] {
            text.write(written);
            assert_eq!(text.read(), read);
        }
        // Its writer died, or lies about its length.
        text.version.store(1, Relaxed);
        text.length.store(u32::MAX, Relaxed);
        assert_eq!(text.read().len(), 5);
    }
}
