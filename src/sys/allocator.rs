//! mimalloc as this program's allocator. What needs no more than the alignment that all of its blocks have, as nearly
//! everything does, is asked for without one, which is the shorter way.

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc_aligned, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

pub struct Mimalloc;

/// Every block that is at least as large is aligned so (mimalloc's MI_MAX_ALIGN_SIZE).
const NATURAL: usize = 16;

// SAFETY: mimalloc's blocks are as large and as aligned as asked for, or null, and stay where they are until they
// are freed. All of its functions take each other's blocks.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the alignment is a power of two.
        let block = unsafe {
            match align <= NATURAL.min(size) {
                true => mi_malloc(size),
                false => mi_malloc_aligned(size, align),
            }
        };
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the alignment is a power of two.
        unsafe { mi_zalloc_aligned(layout.size(), layout.align()) }.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller hands over a block of this allocator, and uses it no more.
        unsafe { mi_free(block.cast()) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller hands over a block of this allocator; the alignment is a power of two.
        unsafe { mi_realloc_aligned(block.cast(), size, layout.align()) }.cast()
    }
}
