//! What has changed in a region is kept in few bytes while nobody uses it, and its pages are given back to the kernel.
//! Programs write here and there: of a page that an idle interpreter has written to, some two hundred bytes of 4096
//! differ from the image.

use super::image::Image;
use super::{DirtyPages, Region};
use crate::sys::memory::page_size;
use std::sync::atomic::Ordering::Relaxed;

/// So many bytes are compared at a time, and kept together.
const LINE: usize = 64;

/// `PutAway` is what differs from the image in the pages of a region that were given back.
#[derive(Default)]
pub struct PutAway {
    /// Each line by its number.
    numbers: Vec<u32>,
    /// Their bytes, one line after another.
    bytes: Vec<u8>,
}

impl Region {
    /// Puts away what has changed since the image was laid. Pages of which half has changed or more stay as they are,
    /// and so do those that the kernel does not tell of.
    ///
    /// # Safety
    /// Nobody uses the region until it is brought back.
    pub unsafe fn put_away(&self, image: &Image, dirty_pages: &DirtyPages) -> PutAway {
        let (mut written, mut kept, mut gone) = (Vec::new(), PutAway::default(), Vec::new());
        dirty_pages.find(self.base, self.accessible.load(Relaxed), &mut written);
        let pages = written
            .into_iter()
            .flat_map(|piece| piece.step_by(page_size()));
        for page in pages {
            // SAFETY: the page is accessible, and nobody writes to it.
            if unsafe { self.keep_lines(page, image, &mut kept) } {
                gone.push(page / page_size());
            }
        }
        kept.numbers.shrink_to_fit();
        kept.bytes.shrink_to_fit();
        // Others are written to when it is brought back.
        self.written().faults = None;
        // What is not given back stays as it is, and is brought back none the less.
        let _ = self.forget_pages(&gone);
        kept
    }

    /// Keeps the lines of a page that have changed, unless they are too many.
    ///
    /// # Safety
    /// The page is accessible, and nobody writes to it meanwhile.
    unsafe fn keep_lines(&self, page: usize, image: &Image, kept: &mut PutAway) -> bool {
        let before = kept.numbers.len();
        for start in (page..page + page_size()).step_by(LINE) {
            let line = start..start + LINE;
            // SAFETY: as the caller says.
            if unsafe { self.is_as_laid(&line, image) } {
                continue;
            }
            let Ok(number) = u32::try_from(start / LINE) else {
                kept.truncate(before);
                return false;
            };
            kept.numbers.push(number);
            // SAFETY: the same.
            let bytes = unsafe { std::slice::from_raw_parts(self.base.add(start), LINE) };
            kept.bytes.extend_from_slice(bytes);
        }
        let is_sparse = kept.numbers.len() - before < page_size() / LINE / 2;
        if !is_sparse {
            kept.truncate(before);
        }
        is_sparse
    }

    /// Brings back what was put away of this region.
    ///
    /// # Safety
    /// Nobody has used the region since, nor does meanwhile.
    pub unsafe fn bring_back(&self, kept: &PutAway) {
        for (number, line) in kept.numbers.iter().zip(kept.bytes.chunks_exact(LINE)) {
            let start = *number as usize * LINE;
            // SAFETY: these bytes were accessible when they were put away, and nobody has changed that.
            unsafe {
                line.as_ptr()
                    .copy_to_nonoverlapping(self.base.add(start), LINE)
            };
        }
    }
}

impl PutAway {
    fn truncate(&mut self, lines: usize) {
        self.numbers.truncate(lines);
        self.bytes.truncate(lines * LINE);
    }
}
