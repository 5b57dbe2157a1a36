//! Memory that begins as a private copy of an image, and is put back as it was: only what was written to is
//! looked at, where the kernel tells (PAGEMAP_SCAN, Linux 6.7; Documentation/admin-guide/mm/pagemap.rst).

use super::memory::page_size;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are put back by hand, at most, and so stay mapped. What else was written to is given back to the
/// kernel.
const BY_HAND: usize = 16 << 20;

/// How much more becomes accessible at a time where that may be more than is needed.
const STEP: usize = 1 << 20;

/// Addresses that are reserved, of which the first are accessible.
pub struct Region {
    base: *mut u8,
    reserved: usize,
    /// Nothing behind its size is accessible. Elsewhere those who use it look where it ends, and it is left
    /// accessible as far as it ever was: that spares a system call each time it grows and each time it is put back.
    fenced: bool,
    size: AtomicUsize,
    accessible: AtomicUsize,
}

// SAFETY: it owns its addresses, and what changes of itself is atomic.
unsafe impl Send for Region {}
// SAFETY: the same.
unsafe impl Sync for Region {}

/// The contents of a part of a file, to be mapped and to be copied.
pub struct Image {
    file: File,
    offset: u64,
    /// The same, only to be read.
    view: *const u8,
    length: usize,
}

// SAFETY: it is only read.
unsafe impl Send for Image {}
// SAFETY: the same.
unsafe impl Sync for Image {}

impl Region {
    /// Reserves so many bytes of addresses; none of them is accessible.
    pub fn reserve(bytes: usize, fenced: bool) -> io::Result<Region> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the kernel chooses addresses that nobody uses.
        let base = unsafe { libc::mmap(null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // A huge page would be dirty as a whole when one byte is. Kernels without them refuse the advice.
        // SAFETY: these addresses are ours.
        unsafe { libc::madvise(base, bytes, libc::MADV_NOHUGEPAGE) };
        Ok(Region {
            base: base.cast(),
            reserved: bytes,
            fenced,
            size: AtomicUsize::new(0),
            accessible: AtomicUsize::new(0),
        })
    }

    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes that it has.
    pub fn size(&self) -> usize {
        self.size.load(Relaxed)
    }

    /// Has it be so many bytes, if it has fewer: whole pages.
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
        if image.length == 0 {
            return Ok(());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: these addresses are ours, and accessible.
        unsafe {
            image.map(
                self.base.cast(),
                access,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
            )?;
        }
        // What is behind it is zero until it is written to.
        self.forget(image.length, self.accessible.load(Relaxed))
    }

    /// Puts back what was there when the image was laid, and the size, which was `size`.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile.
    pub unsafe fn rewind(&self, size: usize, image: &Image, dirt: &Dirt) -> io::Result<()> {
        let accessible = self.accessible.load(Relaxed);
        let clean = dirt.find(self, accessible, |from, to| {
            let copied = to.min(image.length);
            // SAFETY: both are accessible, and as nobody else uses the region they may be written to.
            unsafe {
                if from < copied {
                    let source = image.view.add(from);
                    source.copy_to_nonoverlapping(self.base.add(from), copied - from);
                }
                let zero = from.max(copied);
                self.base.add(zero).write_bytes(0, to - zero);
            }
        });
        self.forget(clean, accessible)?;
        if self.fenced && accessible > size {
            self.protect(size, accessible, libc::PROT_NONE)?;
            self.accessible.store(size, Relaxed);
        }
        self.size.store(size, Relaxed);
        Ok(())
    }

    /// Gives back all memory that it takes: what was written to is as it was when the image was laid.
    ///
    /// # Safety
    /// Nobody else uses the region meanwhile.
    pub unsafe fn forget_all(&self) -> io::Result<()> {
        self.forget(0, self.accessible.load(Relaxed))
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

    fn protect(&self, from: usize, to: usize, access: i32) -> io::Result<()> {
        // SAFETY: these addresses are ours.
        result(unsafe { libc::mprotect(self.base.add(from).cast(), to - from, access) })
    }

    /// What is in it.
    ///
    /// # Safety
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

impl Image {
    /// So many bytes of a file that nobody changes, from this offset on: both multiples of a page.
    pub fn open(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Image> {
        let mut image = Image {
            file: file.try_clone_to_owned()?.into(),
            offset,
            view: std::ptr::null(),
            length,
        };
        if offset + length as u64 > image.file.metadata()?.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length > 0 {
            // SAFETY: the kernel chooses addresses that nobody uses.
            image.view = unsafe { image.map(null_mut(), libc::PROT_READ, libc::MAP_PRIVATE)? };
        }
        Ok(image)
    }

    /// # Safety
    /// As of mmap(2): with MAP_FIXED the addresses are the caller's.
    unsafe fn map(&self, at: *mut libc::c_void, access: i32, flags: i32) -> io::Result<*const u8> {
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

/// Where this process has written to.
pub struct Dirt(Option<File>);

/// `struct pm_scan_arg` and `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Found {
    start: u64,
    end: u64,
    categories: u64,
}

nix::ioctl_readwrite!(pagemap_scan, b'f', 16, Scan);

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

impl Dirt {
    /// Of the process that asks; not to be carried over a fork.
    pub fn of_this_process() -> Dirt {
        Dirt(File::open("/proc/self/pagemap").ok())
    }

    /// Calls `put_back` with what was written to, piece by piece. Resolves to where what was not looked at
    /// begins: at zero where the kernel tells nothing.
    fn find(&self, region: &Region, end: usize, mut put_back: impl FnMut(usize, usize)) -> usize {
        let Some(pagemap) = &self.0 else { return 0 };
        let base = region.base.expose_provenance();
        let (mut from, mut left) = (0, BY_HAND / page_size());
        while from < end && left > 0 {
            let mut found = [Found::default(); 128];
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                start: (base + from) as u64,
                end: (base + end) as u64,
                vec: found.as_mut_ptr().expose_provenance() as u64,
                vec_len: found.len() as u64,
                max_pages: left as u64,
                // Pages of ours, wherever they are: neither of the file nor the one that is all zeros.
                category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                ..Scan::default()
            };
            // SAFETY: it writes to `scan` and `found`, which are as long as they say.
            let Ok(count) = (unsafe { pagemap_scan(pagemap.as_raw_fd(), &mut scan) }) else {
                return from;
            };
            for piece in &found[..count as usize] {
                let (start, end) = (piece.start as usize - base, piece.end as usize - base);

                put_back(start, end);
                left = left.saturating_sub((end - start) / page_size());
            }
            from = scan.walk_end as usize - base;
        }
        from
    }
}

fn result(done: i32) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
