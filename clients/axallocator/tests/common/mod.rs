//! A kernel's page allocator for the tests, and memory for it.

use std::{
    alloc::{Layout, alloc},
    ptr::NonNull,
    sync::Mutex,
};

use axallocator::{BaseAllocator, BitmapPageAllocator, PageAllocator};
use ptfrag::PageDesc;
use ptfrag_client_axallocator::{Global, SharedPages};

/// Bytes of the allocator's pages.
pub const THEIRS: usize = 4096;

pub struct Kernel(Mutex<BitmapPageAllocator<THEIRS>>);

// SAFETY: a mutex lets one in at a time, and tests give back what they have.
unsafe impl Global for Kernel {
    type Pages = BitmapPageAllocator<THEIRS>;

    fn with<R>(&self, work: impl FnOnce(&mut Self::Pages) -> R) -> R {
        work(&mut self.0.lock().expect("nobody panics with it"))
    }
}

impl Kernel {
    pub const fn new() -> Self {
        Self(Mutex::new(BitmapPageAllocator::new()))
    }

    pub fn used(&self) -> usize {
        self.with(|pages| pages.used_pages())
    }

    /// Gives it so many pages, and has a source over it. The first one is so many pages past a multiple of 64 KiB.
    pub fn source<const PAGE: usize>(
        &'static self,
        past: usize,
        count: usize,
    ) -> SharedPages<PAGE, Self> {
        let (missing, bytes) = (past * THEIRS, count * THEIRS);
        let layout = Layout::from_size_align(missing + bytes, 65536).expect("tests are small");
        // SAFETY: it has a size.
        let memory = NonNull::new(unsafe { alloc(layout) }).expect("memory");
        // SAFETY: allocated just now. Nothing is as zero as it might be by chance.
        unsafe { memory.write_bytes(0xa5, missing + bytes) };
        // SAFETY: so much is in front of it.
        let memory = unsafe { memory.add(missing) };
        // What others have is reached by its address.
        let start = memory.as_ptr().expose_provenance();
        self.with(|pages| pages.init(start, bytes));
        let descs = Box::leak((0..bytes / PAGE + 1).map(|_| PageDesc::new()).collect());
        // SAFETY: this is all memory that there is, for ever.
        unsafe { SharedPages::new(self, memory, bytes, descs) }
    }
}
