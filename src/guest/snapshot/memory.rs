//! The linear memories of instances that are restored are regions of ours, so that their contents and sizes can be
//! put back. This file knows which memories belong to one instance by when they are made.

use super::data::Segment;
use super::file::Snapshot;
use crate::sys::memory::page_size;
use crate::sys::region::{DirtyPages, PutAway, Region};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime::{AsContextMut, LinearMemory, MemoryCreator, MemoryType, Result};

thread_local! {
    /// The instance that is being made has these memories.
    static MADE: RefCell<Vec<Arc<Region>>> = const { RefCell::new(Vec::new()) };
}

/// Addresses of 32 bits reach so far.
const LARGEST: usize = 1 << 32;

/// `Memories` makes memories for an engine.
pub struct Memories {
    /// A memory may come to have this many bytes.
    most: usize,
}

impl Memories {
    /// Makes memories of at most `most` bytes.
    pub fn new(most: usize) -> Arc<Memories> {
        Arc::new(Memories { most })
    }
}

struct Memory {
    region: Arc<Region>,
    /// The memory may grow to this many bytes where it is.
    capacity: usize,
}

// SAFETY: what is reserved is as long as was asked for, guard included, is zero where it becomes accessible, and
// is changed behind the engine's back only as `Restorer` says: while nothing of the instance runs.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        // Code that counts on no addresses being reserved looks where the memory ends before it uses it.
        let fenced = reserved.is_some_and(|reserved| reserved > 0);
        let most = self.most.next_multiple_of(page_size());
        let capacity = minimum.max(if fenced { LARGEST } else { most.min(LARGEST) });
        let region = Region::reserve(capacity + guard, fenced).and_then(|region| {
            region.grow_to(minimum)?;
            Ok(Arc::new(region))
        });
        let region = region.map_err(|error| format!("cannot reserve memory: {error}"))?;
        MADE.with_borrow_mut(|made| made.push(region.clone()));
        Ok(Box::new(Memory { region, capacity }))
    }
}

// SAFETY: the region never moves, and is accessible up to its size.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.region.size()
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> Result<()> {
        wasmtime::ensure!(new_size <= self.capacity, "no more memory is reserved");
        Ok(self.region.grow_to(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.region.base()
    }
}

/// `Regions` holds the memories of one instance, in the order in which they were made. Whoever has the store to
/// itself knows that nothing of the instance runs; so does whoever has the future to itself that has the store.
#[derive(Clone, Default)]
pub struct Regions(Vec<Arc<Region>>);

impl Regions {
    /// Has every memory share the pages of its image. They hold what is in the memory already, unless the snapshot is a
    /// primed one: then a memory may have to grow first, which the engine learns when the state is restored.
    pub fn lay(&self, _: impl AsContextMut, snapshot: &Snapshot, is_primed: bool) -> Result<()> {
        const OTHER: &str = "an instance has other memories than the snapshot has";
        wasmtime::ensure!(self.0.len() == snapshot.memories().count(), OTHER);
        for (region, (size, image)) in self.0.iter().zip(snapshot.memories()) {
            if is_primed {
                region.grow_to(size)?;
            }
            wasmtime::ensure!(region.size() == size, OTHER);
            // SAFETY: the instance does not run.
            unsafe { region.lay(image)? };
        }
        Ok(())
    }

    /// Writes what memories begin with.
    pub fn write(&self, _: impl AsContextMut, segments: &[Segment<'_>]) -> Result<()> {
        for segment in segments {
            let Some(region) = self.0.get(segment.memory) else {
                wasmtime::bail!("an instance has fewer memories than the component");
            };
            // SAFETY: the instance does not run.
            unsafe { region.write(segment.offset, segment.bytes)? };
        }
        Ok(())
    }

    /// Restores the contents and the sizes of the memories.
    pub fn reset(
        &self,
        _: impl AsContextMut,
        snapshot: &Snapshot,
        dirty_pages: &DirtyPages,
    ) -> io::Result<()> {
        for (region, (size, image)) in self.0.iter().zip(snapshot.memories()) {
            // SAFETY: the instance does not run.
            unsafe { region.reset(size, image, dirty_pages)? };
        }
        Ok(())
    }

    /// Gives back the pages that were written to since the images were laid.
    pub fn release_memory(&self, _: impl AsContextMut) -> io::Result<()> {
        for region in &self.0 {
            // SAFETY: the instance does not run.
            unsafe { region.forget_all()? };
        }
        Ok(())
    }

    /// Keeps what has changed since the images were laid, and gives back its pages.
    pub fn put_away(
        &self,
        _: &mut impl Future,
        snapshot: &Snapshot,
        dirty_pages: &DirtyPages,
    ) -> Vec<PutAway> {
        let images = snapshot.memories().map(|(_, image)| image);
        let each = self.0.iter().zip(images);
        // SAFETY: the instance does not run until its future is polled, before which they are brought back.
        each.map(|(region, image)| unsafe { region.put_away(image, dirty_pages) })
            .collect()
    }

    /// Brings back what was put away.
    pub fn bring_back(&self, _: &mut impl Future, kept: &[PutAway]) {
        for (region, kept) in self.0.iter().zip(kept) {
            // SAFETY: the instance has not run since, and does not now.
            unsafe { region.bring_back(kept) };
        }
    }

    /// Writes over the memories, and over what is accessible behind them.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn overwrite(&self, _: impl AsContextMut) {
        for region in &self.0 {
            // SAFETY: the instance does not run.
            unsafe { region.overwrite() };
        }
    }

    /// Returns what is in the memories.
    pub fn contents<'a>(&'a self, _: &'a mut impl AsContextMut) -> Vec<&'a [u8]> {
        let mut contents = Vec::new();
        for region in &self.0 {
            // SAFETY: the instance does not run as long as somebody looks.
            contents.push(unsafe { region.bytes() });
        }
        contents
    }
}

/// Runs a future that makes an instance, and resolves with the memories that it has made, in their order. Others may
/// be made meanwhile, but not in the same poll.
pub struct Collected<F> {
    making: Pin<Box<F>>,
    made: Regions,
}

impl<F: Future> Collected<F> {
    pub fn new(making: F) -> Collected<F> {
        Collected {
            making: Box::pin(making),
            made: Regions::default(),
        }
    }
}

impl<F: Future> Future for Collected<F> {
    type Output = (F::Output, Regions);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        MADE.with_borrow_mut(Vec::clear);
        let polled = self.making.as_mut().poll(cx);
        let more = MADE.take();
        self.made.0.extend(more);
        polled.map(|output| (output, std::mem::take(&mut self.made)))
    }
}
