//! A block of an allocator, as bytes.

use std::{alloc::Layout, fmt, ptr::NonNull};

use crate::api::alloc::Allocator;

/// A block that goes back when it is dropped.
pub struct Block<'a> {
    alloc: &'a dyn Allocator,
    at: NonNull<[u8]>,
    layout: Layout,
}

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

impl<'a> Block<'a> {
    pub fn new(alloc: &'a dyn Allocator, layout: Layout) -> Option<Self> {
        Self::of(alloc, layout, alloc.allocate(layout).ok()?)
    }

    pub fn zeroed(alloc: &'a dyn Allocator, layout: Layout) -> Option<Self> {
        Self::of(alloc, layout, alloc.allocate_zeroed(layout).ok()?)
    }

    fn of(alloc: &'a dyn Allocator, layout: Layout, at: NonNull<[u8]>) -> Option<Self> {
        let block = Self { alloc, at, layout };
        block.check();
        Some(block)
    }

    /// What is promised of every block.
    fn check(&self) {
        assert!(self.at.len() >= self.layout.size(), "{self:?}");
        assert_eq!(self.address() % self.layout.align(), 0, "{self:?}");
    }

    pub fn address(&self) -> usize {
        self.at.cast::<u8>().addr().get()
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// All bytes, those that were not asked for included.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the block is ours, and a fragment's bytes are initialised when it is handed out; only bytes are written.
        unsafe { self.at.as_mut() }
    }

    /// Makes it larger or smaller; says whether it is.
    pub fn resize(&mut self, to: Layout) -> bool {
        let (at, from) = (self.at.cast(), self.layout);
        let resized = if to.size() >= from.size() {
            // SAFETY: the block is ours, for this layout, and no larger.
            unsafe { self.alloc.grow(at, from, to) }
        } else {
            // SAFETY: the same, and larger.
            unsafe { self.alloc.shrink(at, from, to) }
        };
        self.take(to, resized.ok())
    }

    /// Makes it larger; says whether it is.
    pub fn grow_zeroed(&mut self, to: Layout) -> bool {
        // SAFETY: the block is ours, for this layout, and no larger.
        let resized = unsafe { self.alloc.grow_zeroed(self.at.cast(), self.layout, to) };
        self.take(to, resized.ok())
    }

    fn take(&mut self, to: Layout, resized: Option<NonNull<[u8]>>) -> bool {
        let done = resized.is_some();
        if let Some(at) = resized {
            (self.at, self.layout) = (at, to);
        }
        self.check();
        done
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // SAFETY: the block is ours, for this layout.
        unsafe { self.alloc.deallocate(self.at.cast(), self.layout) };
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:p}, {} bytes for {:?})", self.at, self.at.len(), self.layout)
    }
}
