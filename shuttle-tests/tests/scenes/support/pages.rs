//! A page source: a few pages on the heap, their descriptors beside them.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ptr::NonNull,
    sync::Arc,
};

use ptfrag::{AllocError, PageDesc, PageSource};
use shuttle::sync::Mutex;

use super::{SIZE, ledger::Ledger};

/// What is left in a page that has gone home, so that whoever still reads there notices.
const GONE: u8 = 0xdb;

pub(super) struct Pages<const N: usize> {
    memory: NonNull<u8>,
    descs: Box<[PageDesc]>,
    /// The last one put is the first one got again, which is the hardest order.
    home: Mutex<Vec<usize>>,
    ledger: Arc<Ledger>,
}

// SAFETY: the memory is only reached by whoever owns a fragment or the page.
unsafe impl<const N: usize> Send for Pages<N> {}
// SAFETY: as above.
unsafe impl<const N: usize> Sync for Pages<N> {}

impl<const N: usize> Pages<N> {
    fn layout(pages: usize) -> Layout {
        let page = N * SIZE;
        Layout::from_size_align(pages * page, page).expect("a few small pages")
    }

    /// `pages` pages, and the ledger for them.
    pub(super) fn new(pages: usize) -> Self {
        let layout = Self::layout(pages);
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        Self {
            memory,
            descs: (0..pages).map(|_| PageDesc::new()).collect(),
            home: Mutex::new((0..pages).collect()),
            ledger: Arc::new(Ledger::new(memory, pages, N)),
        }
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The first byte of page `index`.
    pub(super) fn at(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.descs.len());
        // SAFETY: inside the allocation.
        unsafe { self.memory.add(index * N * SIZE) }
    }

    fn index(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.as_ptr().addr()) / size_of::<PageDesc>()
    }

    /// How many pages are at home.
    pub(super) fn at_home(&self) -> usize {
        self.home.lock().map_or(0, |home| home.len())
    }
}

impl<const N: usize> Drop for Pages<N> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; every handle of the source is gone.
        unsafe { dealloc(self.memory.as_ptr(), Self::layout(self.descs.len())) };
    }
}

/// A handle of the source.
pub(crate) struct Source<const N: usize>(pub(super) Arc<Pages<N>>);

// SAFETY: pages are aligned to their size and zeroed; `home` lists each at most once, and its lock
// orders `put` before the next `get`; the descriptors stay in their box. Nothing waits for a grace
// period.
unsafe impl<const N: usize> PageSource for Source<N> {
    const PAGE_SIZE: usize = N * SIZE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let index = self.0.home.lock().map_err(|_| AllocError)?.pop().ok_or(AllocError)?;
        Ok(NonNull::from(&self.0.descs[index]))
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        let index = self.0.index(page);
        // SAFETY: the page is the source's from here on.
        unsafe { self.0.at(index).write_bytes(GONE, N * SIZE) };
        let Ok(mut home) = self.0.home.lock() else { return };
        if home.contains(&index) {
            drop(home);
            self.0.ledger.fault(format!("page {index} was put back twice"));
        } else {
            home.push(index);
        }
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        let offset = addr.addr().get().checked_sub(self.0.memory.addr().get())?;
        self.0.descs.get(offset / (N * SIZE)).map(NonNull::from)
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        self.0.at(self.0.index(page))
    }
}
