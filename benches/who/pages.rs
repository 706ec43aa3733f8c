//! What the historical policies and the control have in common: aligned memory, and pages that wait
//! for grace periods with an RCU head of their own each.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ptr::NonNull,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, Rcu, RcuHead};

use crate::allocator::{Block, Holding};

/// Naturally aligned memory.
#[derive(Debug)]
pub struct Chunk {
    /// Its first byte.
    pub base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: memory that belongs to nobody's thread.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// So many bytes, a power of two.
    ///
    /// # Panics
    /// When `bytes` is no power of two.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
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

/// Locks a mutex that no panic has poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page with its own RCU head.
#[repr(C)]
#[derive(Debug)]
pub struct Page {
    head: RcuHead,
    /// The policy's.
    pub state: AtomicU32,
    chunk: Chunk,
    home: NonNull<Pages>,
}

/// Where pages come from and go to: a stack under a mutex.
///
/// # Invariants
/// `all` keeps every page that was ever made, so that descriptors stay.
#[derive(Debug, Default)]
pub struct Pages {
    free: Mutex<Vec<NonNull<Page>>>,
    #[expect(clippy::vec_box, reason = "pages stay where they are when there are more")]
    all: Mutex<Vec<Box<Page>>>,
    out: AtomicUsize,
    calls: AtomicUsize,
}

// SAFETY: the pointers are to the pages in `all`, which may be shared.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// A page of so many bytes, always the same number.
    pub fn get(&self, bytes: usize) -> NonNull<Page> {
        self.out.fetch_add(1, Ordering::Relaxed);
        if let Some(page) = lock(&self.free).pop() {
            return page;
        }
        let (head, state) = (RcuHead::new(), AtomicU32::new(0));
        let page = Page { head, state, chunk: Chunk::new(bytes), home: NonNull::from(self) };
        let mut page = Box::new(page);
        let address = NonNull::from(&mut *page);
        lock(&self.all).push(page);
        address
    }

    /// Sends a page home after a grace period.
    ///
    /// # Safety
    /// The page is from this source, out, and its fragments are all the caller's.
    pub unsafe fn retire(&self, domain: &'static Domain, page: NonNull<Page>) {
        unsafe extern "C" fn home(head: NonNull<RcuHead>) {
            let page: NonNull<Page> = head.cast();
            // SAFETY: the head is a page's first field.
            let home = unsafe { page.as_ref() }.home;
            // SAFETY: the source waits for its pages.
            let home = unsafe { home.as_ref() };
            lock(&home.free).push(page);
            home.calls.fetch_sub(1, Ordering::Relaxed);
            home.out.fetch_sub(1, Ordering::Release);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the page has one owner, whose head is idle, and the source outlives the call.
        unsafe { domain.call(page.cast(), home) };
    }

    /// Pages that are out or wait.
    pub fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }

    /// Pages that wait for a grace period.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// What the pages hold, of so many bytes each.
    pub fn holding(&self, bytes: usize) -> Holding {
        Holding { bytes: self.out() * bytes, heap: lock(&self.all).len() * bytes, beside: 0 }
    }

    /// Waits until all pages are home.
    pub fn quiesce(&self, domain: &Domain) {
        while self.out() != 0 {
            domain.barrier();
        }
    }
}

impl Page {
    /// Its first byte.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.chunk.base
    }
}

/// A fragment of a page.
#[derive(Debug)]
pub struct Fragment {
    /// Its first byte.
    pub addr: NonNull<u8>,
    /// The page that it is of.
    pub page: NonNull<Page>,
}

// SAFETY: the fragment is its owner's, and pages may be shared.
unsafe impl Send for Fragment {}

impl Block for Fragment {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.addr.as_ptr()
    }
}
