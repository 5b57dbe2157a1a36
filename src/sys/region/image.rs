//! An `Image` is what a region begins as: a part of a file.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

/// An `Image` has the contents of a part of a file, to be mapped and to be copied.
pub struct Image {
    file: File,
    offset: u64,
    /// The view maps the image's bytes only to be read.
    pub(super) view: *const u8,
    pub(super) length: usize,
}

// SAFETY: it is only read.
unsafe impl Send for Image {}
// SAFETY: the same.
unsafe impl Sync for Image {}

impl Image {
    /// Opens this many bytes of a file that nobody changes, from this offset on: both multiples of a page.
    pub fn open(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Image> {
        let mut image = Image {
            file: file.try_clone_to_owned()?.into(),
            offset,
            view: std::ptr::null(),
            length,
        };
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > image.file.metadata().map_or(0, |it| it.len())) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length > 0 {
            // SAFETY: the kernel chooses addresses that nobody uses.
            image.view = unsafe { image.map(null_mut(), libc::PROT_READ, libc::MAP_PRIVATE)? };
        }
        Ok(image)
    }

    /// Maps the image.
    ///
    /// # Safety
    ///
    /// As of mmap(2): with MAP_FIXED the addresses are the caller's.
    pub(super) unsafe fn map(
        &self,
        at: *mut libc::c_void,
        access: i32,
        flags: i32,
    ) -> io::Result<*const u8> {
        let offset = i64::try_from(self.offset).map_err(io::Error::other)?;
        let file = self.file.as_raw_fd();
        // SAFETY: as the caller says.
        let mapped = unsafe { libc::mmap(at, self.length, access, flags, file, offset) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(mapped.cast())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: it was mapped by us, and nobody has its addresses any more.
            unsafe { libc::munmap(self.view.cast_mut().cast(), self.length) };
        }
    }
}
