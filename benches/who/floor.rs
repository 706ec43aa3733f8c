//! The floor: a bump pointer per thread that goes round in a small buffer. Nothing is reclaimed and
//! nobody is protected; it tells what the workload itself costs.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    collections::HashSet,
    ptr::NonNull,
};

use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// Naturally aligned memory.
#[derive(Debug)]
struct Chunk {
    base: NonNull<u8>,
    layout: Layout,
}

impl Chunk {
    /// So many bytes, a power of two.
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, bytes).expect("a power of two");
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        Self { base, layout }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// How many blocks a thread's buffer has.
#[derive(Debug)]
pub struct Floor<const SIZE: usize> {
    blocks: usize,
}

impl<const SIZE: usize> Allocator for Floor<SIZE> {
    type Block = FloorBlock;
    type Handle<'a> = FloorHandle<SIZE>;

    const PAGE: usize = 0;

    fn new(setup: Setup) -> Self {
        Self { blocks: (4 * setup.held).next_power_of_two().max(64) }
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        FloorHandle { chunk: Chunk::new(self.blocks * SIZE), mask: self.blocks * SIZE - 1, next: 0 }
    }

    fn quiesce(self) {}

    fn holding(&self) -> Holding {
        Holding::default()
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        0
    }
}

/// A block that somebody else may have as well when the buffer has gone round.
#[derive(Debug)]
pub struct FloorBlock(NonNull<u8>);

// SAFETY: what is written there means nothing to anybody.
unsafe impl Send for FloorBlock {}

impl Block for FloorBlock {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }
}

/// A thread's buffer.
#[derive(Debug)]
pub struct FloorHandle<const SIZE: usize> {
    chunk: Chunk,
    mask: usize,
    next: usize,
}

impl<const SIZE: usize> Handle for FloorHandle<SIZE> {
    type Block = FloorBlock;

    #[inline]
    fn allocate(&mut self) -> FloorBlock {
        // SAFETY: the mask keeps `next` in the chunk.
        let block = unsafe { self.chunk.base.add(self.next) };
        self.next = (self.next + SIZE) & self.mask;
        FloorBlock(block)
    }

    #[inline]
    fn retire(&mut self, _: FloorBlock) {}

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        work()
    }

    fn progress(&mut self) {}
}
