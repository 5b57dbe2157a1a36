//! This program's allocator is mimalloc, with a word before each block that says which account of the heap pays for it
//! (`heap`). What needs no more than the alignment that all of its blocks have, as nearly everything does, is asked
//! for without one, which is the shorter way.

use super::heap::{self, Payer};
use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc_aligned, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr::null_mut;

pub struct Mimalloc;

/// Every block that is at least as large is aligned so (mimalloc's MI_MAX_ALIGN_SIZE).
const NATURAL: usize = 16;

/// The word that says who pays has this many bytes.
const WORD: usize = size_of::<Payer>();

/// Computes the bytes before a block: the word comes last of them, and what follows is aligned as it was asked for.
fn head(layout: Layout) -> usize {
    layout.align().max(WORD)
}

/// Returns what follows the head of a new block, for which the present payer pays.
///
/// # Safety
///
/// `base` is null, or a block of `head` bytes and `size` more that nobody uses yet.
unsafe fn begin(base: *mut c_void, head: usize, size: usize) -> *mut u8 {
    if base.is_null() {
        return null_mut();
    }
    let payer = heap::payer();
    // SAFETY: the head is at least a word long, and as aligned as a word.
    let block = unsafe {
        let block = base.cast::<u8>().add(head);
        block.sub(WORD).cast::<Payer>().write(payer);
        block
    };
    if let Some(account) = payer {
        account.add_here(size);
    }
    block
}

/// Returns who pays for a block.
///
/// # Safety
///
/// `block` came from `begin`.
unsafe fn payer_of(block: *mut u8) -> Payer {
    // SAFETY: the word is there since the block began.
    unsafe { block.sub(WORD).cast::<Payer>().read() }
}

// SAFETY: mimalloc's blocks are as large and as aligned as asked for, or null, and stay where they are until they
// are freed. All of its functions take each other's blocks. What is behind a head of a multiple of the alignment is
// as aligned as the block.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let head = head(layout);
        let (size, align) = (layout.size() + head, layout.align());
        // SAFETY: the alignment is a power of two, and the block is new.
        unsafe {
            let base = match align <= NATURAL.min(size) {
                true => mi_malloc(size),
                false => mi_malloc_aligned(size, align),
            };
            begin(base, head, layout.size())
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let head = head(layout);
        // SAFETY: the alignment is a power of two, and the block is new.
        unsafe {
            let base = mi_zalloc_aligned(layout.size() + head, layout.align());
            begin(base, head, layout.size())
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller hands over a block of this allocator, and uses it no more.
        unsafe {
            if let Some(account) = payer_of(block) {
                account.remove(layout.size());
            }
            mi_free(block.sub(head(layout)).cast());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let head = head(layout);
        // SAFETY: the caller hands over a block of this allocator; the alignment is a power of two. The head moves
        // with the block.
        unsafe {
            let payer = payer_of(block);
            let moved = mi_realloc_aligned(block.sub(head).cast(), size + head, layout.align());
            if moved.is_null() {
                return null_mut();
            }
            if let Some(account) = payer {
                account.remove(layout.size());
                account.add(size);
            }
            moved.cast::<u8>().add(head)
        }
    }
}
