//! A thread that serves keeps small blocks that it has just freed, a few of each size, and gives out again the one that
//! it has freed last: it is in the processor's cache.
//!
//! mimalloc, which they come from, gives out all blocks of a page of 64 KiB before it comes back to one that was freed.
//! A request takes a hundred small blocks of many sizes and frees them again, so that each of them would come from
//! further away.

use libmimalloc_sys::{mi_free, mi_malloc};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Larger blocks are not kept.
const LARGEST: usize = 4096;

/// Up to here, kept blocks have sizes that are multiples of 16, and from here on of 128: mimalloc's own sizes lie no
/// closer.
const FINE: usize = 1024;
const FINE_STEP: usize = 16;
const COARSE_STEP: usize = 128;

const CLASSES: usize = FINE / FINE_STEP + (LARGEST - FINE) / COARSE_STEP + 1;

/// So many bytes of one size are kept, and this many blocks of it at the least.
const KEPT: usize = 8 << 10;
const FEWEST: usize = 4;

/// A `Stack` has blocks of one size that were freed; each begins with the address of the next.
struct Stack {
    top: Cell<*mut c_void>,
    /// This many more may be kept. Threads that keep none have no room.
    room: Cell<u32>,
}

thread_local! {
    static STACKS: [Stack; CLASSES] = const {
        [const { Stack { top: Cell::new(null_mut()), room: Cell::new(0) } }; CLASSES]
    };
}

/// Finds the class of blocks of at least this many bytes, which is not more than [`LARGEST`], and the bytes that they
/// have.
#[inline]
fn class(size: usize) -> (usize, usize) {
    if size <= FINE {
        let class = size.div_ceil(FINE_STEP);
        return (class, class * FINE_STEP);
    }
    let further = (size - FINE).div_ceil(COARSE_STEP);
    (FINE / FINE_STEP + further, FINE + further * COARSE_STEP)
}

/// Returns the bytes that a block has to have so that it may be freed as one of this many bytes.
#[inline]
pub fn rounded(size: usize) -> usize {
    match size <= LARGEST {
        true => class(size).1,
        false => size,
    }
}

/// Says whether one block can have either of these sizes.
#[inline]
pub fn are_alike(one: usize, other: usize) -> bool {
    one <= LARGEST && other <= LARGEST && class(one).0 == class(other).0
}

/// Allocates a block of this many bytes, or returns null.
#[inline]
pub fn allocate(size: usize) -> *mut c_void {
    if size > LARGEST {
        // SAFETY: it may be called at any time.
        return unsafe { mi_malloc(size) };
    }
    let (class, rounded) = class(size);
    STACKS.with(|stacks| {
        let stack = &stacks[class];
        let block = stack.top.get();
        if block.is_null() {
            // SAFETY: as above.
            return unsafe { mi_malloc(rounded) };
        }
        // SAFETY: whoever freed it has written the next one's address into it, and nobody has used it since.
        stack.top.set(unsafe { block.cast::<*mut c_void>().read() });
        stack.room.set(stack.room.get() + 1);
        block
    })
}

/// Frees a block, or keeps it.
///
/// # Safety
///
/// The block is mimalloc's, has at least `rounded(size)` bytes, is aligned to 16 of them, and nobody uses it any more.
#[inline]
pub unsafe fn free(block: *mut c_void, size: usize) {
    if size > LARGEST {
        // SAFETY: as the caller says.
        return unsafe { mi_free(block) };
    }
    STACKS.with(|stacks| {
        let stack = &stacks[class(size).0];
        let Some(room) = stack.room.get().checked_sub(1) else {
            // SAFETY: as the caller says.
            return unsafe { mi_free(block) };
        };
        // SAFETY: it has room for an address, and is aligned as one.
        unsafe { block.cast::<*mut c_void>().write(stack.top.get()) };
        stack.top.set(block);
        stack.room.set(room);
    });
}

/// Has this thread keep blocks from here on. It does so until the process ends.
pub fn keep() {
    STACKS.with(|stacks| {
        for step in 1..CLASSES {
            let size = match step.checked_sub(FINE / FINE_STEP) {
                Some(further) => FINE + further * COARSE_STEP,
                None => step * FINE_STEP,
            };
            let stack = &stacks[step];
            if stack.room.get() == 0 && stack.top.get().is_null() {
                stack.room.set((KEPT / size).max(FEWEST) as u32);
            }
        }
    });
}

/// Gives back to mimalloc what this thread keeps.
pub fn release() {
    STACKS.with(|stacks| {
        for stack in stacks {
            loop {
                let block = stack.top.get();
                if block.is_null() {
                    break;
                }
                // SAFETY: as in `allocate`; from here on it is nobody's.
                unsafe {
                    stack.top.set(block.cast::<*mut c_void>().read());
                    mi_free(block);
                }
                stack.room.set(stack.room.get() + 1);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frees a block of each of these sizes, and says whether allocating them again gives the same ones. It allocates
    /// nothing else.
    fn are_given_out_again(sizes: [usize; 3]) -> bool {
        let blocks = sizes.map(allocate);
        for (block, size) in blocks.into_iter().zip(sizes) {
            // SAFETY: it is as large as that.
            unsafe {
                block.cast::<u8>().write_bytes(0xab, rounded(size));
                free(block, size);
            }
        }
        let [first, second, third] = sizes;
        let again = [third, second, first].map(allocate);
        for (block, size) in again.into_iter().zip([third, second, first]) {
            // SAFETY: nobody uses it any more.
            unsafe { free(block, size) };
        }
        again.iter().rev().eq(&blocks)
    }

    #[test]
    fn a_size_is_rounded_to_that_of_its_class() {
        let mut before = (0, 0);
        for size in 1..=LARGEST {
            let (class, rounded) = class(size);
            assert!(rounded >= size && rounded - size < COARSE_STEP && class < CLASSES);
            assert!((class, rounded) == before || class == before.0 + 1);
            before = (class, rounded);
        }
        assert_eq!(before, (CLASSES - 1, LARGEST));
        assert!(are_alike(17, 32) && !are_alike(16, 17) && !are_alike(4097, 4098));
    }

    #[test]
    fn what_was_freed_last_is_given_out_first() {
        let thread = std::thread::spawn(|| {
            keep();
            for sizes in [[1, 16, 17], [100; 3], [1025, 4096, 1024]] {
                assert!(are_given_out_again(sizes), "{sizes:?}");
            }
            release();
            let has_none = STACKS.with(|stacks| stacks.iter().all(|it| it.top.get().is_null()));
            assert!(has_none);
        });
        thread.join().unwrap();
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        let kept = std::thread::spawn(|| {
            keep();
            let blocks: Vec<_> = (0..1000).map(|_| allocate(4000)).collect();
            for block in blocks {
                // SAFETY: it is as large as that, and nobody uses it any more.
                unsafe { free(block, 4000) };
            }
            let room = STACKS.with(|stacks| stacks[class(4000).0].room.get());
            release();
            room
        });
        assert_eq!(kept.join().unwrap(), 0);
    }
}
