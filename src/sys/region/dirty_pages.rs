//! `DirtyPages` tells which pages of this process were written to, where the kernel does (PAGEMAP_SCAN, Linux 6.7;
//! Documentation/admin-guide/mm/pagemap.rst).

use crate::sys::memory::page_size;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// No more bytes than these are told: what is put back by hand stays mapped, and the rest is given back to the kernel.
const BY_HAND: usize = 16 << 20;

/// `DirtyPages` is about one process. Which that is, is settled when it is first asked at the latest.
#[derive(Default)]
pub struct DirtyPages(OnceLock<Option<File>>);

/// This is `struct pm_scan_arg` of linux/fs.h.
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

/// This is `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Found {
    start: u64,
    end: u64,
    categories: u64,
}

/// Returns how many page faults this thread has had (getrusage(2)): without one more, it has written to no page that
/// it had not written to before.
pub fn faults() -> Option<i64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    Some(usage.minor_page_faults() + usage.major_page_faults())
}

nix::ioctl_readwrite!(pagemap_scan, b'f', 16, Scan);

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

impl DirtyPages {
    /// Makes one that knows nothing.
    #[cfg(test)]
    pub fn unknown() -> DirtyPages {
        DirtyPages(OnceLock::from(None))
    }

    /// Binds it to this process from here on.
    pub fn settle(&self) -> Option<&File> {
        let pagemap = || File::open("/proc/self/pagemap").ok();
        self.0.get_or_init(pagemap).as_ref()
    }

    /// Finds what was written to of `end` bytes from `base` on, piece by piece. Gives where what was not looked at
    /// begins: at zero where the kernel tells nothing.
    pub fn find(&self, base: *const u8, end: usize, pieces: &mut Vec<Range<usize>>) -> usize {
        let Some(pagemap) = self.settle() else {
            return 0;
        };
        let base = base.expose_provenance();
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
                pieces.push(start..end);
                left = left.saturating_sub((end - start) / page_size());
            }
            from = scan.walk_end as usize - base;
        }
        from
    }
}
