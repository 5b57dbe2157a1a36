//! A `Region` is memory that begins as a private copy of an image, and is put back as it was: of what is accessible,
//! only what was written to. What only some requests write to is given back to the kernel, so that the others do not
//! have it put back again and again.
//!
//! It is our own, as the engine has no interface for copying back only the pages that were written to (PAGEMAP_SCAN).

mod dirty_pages;
mod image;
mod put_away;
#[cfg(test)]
mod tests;
mod unchanged_pages;

pub use dirty_pages::DirtyPages;
pub use image::Image;
pub use put_away::PutAway;

use super::limits;
use super::memory::page_size;
use std::io;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use unchanged_pages::UnchangedPages;

/// This much more becomes accessible at a time where that may be more than is needed.
const STEP: usize = 1 << 20;

/// A `Region` is a range of addresses that are reserved, of which the first are accessible.
pub struct Region {
    base: *mut u8,
    reserved: usize,
    /// Nothing behind the region's size is accessible where this is set. Elsewhere those who use it look where it
    /// ends, and it is left accessible as far as it ever was: that spares a system call each time it grows and each
    /// time it is put back.
    fenced: bool,
    size: AtomicUsize,
    accessible: AtomicUsize,
    written: Mutex<WrittenPages>,
}

/// `WrittenPages` are those that were found to be written to. Nothing else has been since, as long as there are no more
/// page faults than there were then, and as much is accessible: other pages are written to with a fault, or become
/// accessible.
#[derive(Default)]
struct WrittenPages {
    faults: Option<i64>,
    accessible: usize,
    pieces: Vec<Range<usize>>,
    /// The pages that were not looked at begin here.
    end: usize,
    unchanged: UnchangedPages,
}

// SAFETY: it owns its addresses, and what changes of itself is atomic.
unsafe impl Send for Region {}
// SAFETY: the same.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves this many bytes of addresses; none of them is accessible.
    pub fn reserve(bytes: usize, fenced: bool) -> io::Result<Region> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the kernel chooses addresses that nobody uses.
        let base = unsafe { libc::mmap(null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(limits::explained(io::Error::last_os_error()));
        }
        // What is made in it is large, and there for a moment only. Kernels without huge pages refuse the advice.
        // SAFETY: these addresses are ours.
        unsafe { libc::madvise(base, bytes, libc::MADV_HUGEPAGE) };
        Ok(Region {
            base: base.cast(),
            reserved: bytes,
            fenced,
            size: AtomicUsize::new(0),
            accessible: AtomicUsize::new(0),
            written: Mutex::default(),
        })
    }

    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Returns the bytes that the region has.
    pub fn size(&self) -> usize {
        self.size.load(Relaxed)
    }

    /// Grows the region to this many bytes, if it has fewer: whole pages.
    pub fn grow_to(&self, bytes: usize) -> io::Result<()> {
        if bytes > self.reserved || !bytes.is_multiple_of(page_size()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let accessible = self.accessible.load(Relaxed);
        if bytes > accessible {
            let until = match self.fenced {
                true => bytes,
                false => bytes.next_multiple_of(STEP).min(self.reserved),
            };
            self.protect(accessible, until, libc::PROT_READ | libc::PROT_WRITE)?;
            self.accessible.store(until, Relaxed);
        }
        self.size.fetch_max(bytes, Relaxed);
        Ok(())
    }

    /// Puts the image in the place of what is there.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile.
    pub unsafe fn lay(&self, image: &Image) -> io::Result<()> {
        if image.length > self.size() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.written().faults = None;
        if image.length > 0 {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            // SAFETY: these addresses are ours, and accessible.
            unsafe { image.map(self.base.cast(), access, flags)? };
        }
        // From here on a huge page would be dirty as a whole when one byte is.
        // SAFETY: these addresses are ours.
        unsafe { libc::madvise(self.base.cast(), self.reserved, libc::MADV_NOHUGEPAGE) };
        // What is behind it is zero until it is written to.
        self.forget(image.length, self.accessible.load(Relaxed))
    }

    /// Puts back what was there when the image was laid, and the size, which was `size`.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile, and none but this thread has used it since it was put back before.
    pub unsafe fn reset(
        &self,
        size: usize,
        image: &Image,
        dirty_pages: &DirtyPages,
    ) -> io::Result<()> {
        let accessible = self.accessible.load(Relaxed);
        let mut written = self.written();
        let faults = dirty_pages::faults();
        if faults.is_none() || (written.faults, written.accessible) != (faults, accessible) {
            (written.faults, written.accessible) = (faults, accessible);
            written.pieces.clear();
            written.end = dirty_pages.find(self.base, accessible, &mut written.pieces);
        }
        let pages = written.pieces.iter().map(Range::len).sum::<usize>() / page_size();
        if written.unchanged.is_due(pages) {
            // SAFETY: as the caller says.
            unsafe { self.put_back_changed(&mut written, image)? };
        } else {
            for piece in &written.pieces {
                // SAFETY: the pieces are accessible, and nobody else uses the region.
                unsafe { self.put_back(piece, image) };
            }
        }
        self.forget(written.end, accessible)?;
        if self.fenced && accessible > size {
            self.protect(size, accessible, libc::PROT_NONE)?;
            self.accessible.store(size, Relaxed);
        }
        self.size.store(size, Relaxed);
        Ok(())
    }

    /// Puts back what was there when the image was laid.
    ///
    /// # Safety
    /// The piece is accessible, and nobody else uses the region meanwhile.
    unsafe fn put_back(&self, &Range { start, end }: &Range<usize>, image: &Image) {
        let copied = end.min(image.length);
        // SAFETY: both are accessible, and as nobody else uses the region they may be written to.
        unsafe {
            if start < copied {
                let source = image.view.add(start);
                source.copy_to_nonoverlapping(self.base.add(start), copied - start);
            }
            // Writing nothing to a page that was not written to is not nothing to some processors.
            let zero = start.max(copied);
            if zero < end {
                self.base.add(zero).write_bytes(0, end - zero);
            }
        }
    }

    /// Puts back those of the written pages that differ from what was there when the image was laid, and gives back
    /// those that have not differed for a while.
    ///
    /// # Safety
    /// The written pages are accessible, and nobody else uses the region meanwhile.
    unsafe fn put_back_changed(&self, written: &mut WrittenPages, image: &Image) -> io::Result<()> {
        let size = page_size();
        for piece in &written.pieces {
            for start in piece.clone().step_by(size) {
                let page = start..start + size;
                // SAFETY: the page is accessible, and nobody else uses the region.
                let is_same = unsafe { self.is_as_laid(&page, image) };
                if !is_same {
                    // SAFETY: the same.
                    unsafe { self.put_back(&page, image) };
                }
                written.unchanged.note(start / size, is_same);
            }
        }
        let idle = written.unchanged.take_idle();
        if !idle.is_empty() {
            // They are no longer among those that were written to.
            written.faults = None;
        }
        self.forget_pages(&idle)
    }

    /// Says whether a page, or a part of one, is as it was when the image was laid.
    ///
    /// # Safety
    /// The page is accessible, and nobody else uses the region meanwhile.
    unsafe fn is_as_laid(&self, page: &Range<usize>, image: &Image) -> bool {
        // SAFETY: it is accessible, and nobody writes to it.
        let now = unsafe { std::slice::from_raw_parts(self.base.add(page.start), page.len()) };
        if page.end > image.length {
            return now.iter().all(|byte| *byte == 0);
        }
        // SAFETY: the view is as long as the image.
        let laid = unsafe { std::slice::from_raw_parts(image.view.add(page.start), page.len()) };
        now == laid
    }

    /// Gives back all memory that it takes: what was written to is as it was when the image was laid.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile.
    pub unsafe fn forget_all(&self) -> io::Result<()> {
        self.written().faults = None;
        self.forget(0, self.accessible.load(Relaxed))
    }

    /// Writes over everything that is accessible, also behind its size.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile.
    #[cfg(any(test, feature = "fuzzing"))]
    pub unsafe fn overwrite(&self) {
        // SAFETY: it is accessible, and nobody else uses it.
        unsafe { self.base.write_bytes(0xdb, self.accessible.load(Relaxed)) };
    }

    /// Writes these bytes to where they shall be.
    ///
    /// # Safety
    ///
    /// Nobody else uses the region meanwhile.
    pub unsafe fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len());
        if end.is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: it is accessible up to its size, and nobody else uses it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), bytes.len())
        };
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, WrittenPages> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the kernel take back the pages of these bytes: they are as they were mapped.
    fn forget(&self, from: usize, to: usize) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        // SAFETY: these addresses are ours.
        let done =
            unsafe { libc::madvise(self.base.add(from).cast(), to - from, libc::MADV_DONTNEED) };
        result(done)
    }

    /// Has the kernel take back these pages, which are in order.
    fn forget_pages(&self, numbers: &[usize]) -> io::Result<()> {
        let size = page_size();
        let mut runs = numbers.chunk_by(|one, next| one + 1 == *next);
        runs.try_for_each(|run| self.forget(run[0] * size, (run[0] + run.len()) * size))
    }

    fn protect(&self, from: usize, to: usize, access: i32) -> io::Result<()> {
        // SAFETY: these addresses are ours.
        result(unsafe { libc::mprotect(self.base.add(from).cast(), to - from, access) })
    }

    /// Returns what is in the region.
    ///
    /// # Safety
    ///
    /// Nobody writes to the region meanwhile.
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: it is accessible, and nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.base, self.size()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: these addresses are ours, and nobody has them any more.
        unsafe { libc::munmap(self.base.cast(), self.reserved) };
    }
}

fn result(done: i32) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
