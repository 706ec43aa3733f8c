//! The page source and the hooks of the models.

use std::ptr::NonNull;

use loom::sync::atomic::Ordering;
use ptfrag::{AllocError, Hooks, PageDesc, PageSource};

use super::{SIZE, Shadow, Stage, write};

/// A handle to the stage's pages, which remembers whose it is.
pub struct Pages<const PAGE: usize> {
    mm: usize,
    shadow: Shadow,
}

impl<const PAGE: usize> Pages<PAGE> {
    pub fn new(mm: usize) -> Self {
        Self { mm, shadow: Shadow::new() }
    }
}

/// Writes all fragments of a page, as whoever has it to himself may.
fn write_all(page: NonNull<u8>, size: usize) {
    for offset in (0..size).step_by(SIZE) {
        // SAFETY: the offset lies in the page.
        write(unsafe { page.add(offset) });
    }
}

// SAFETY: a page is one thread's from the exchange in `get` to the store in `put`, which are the
// edge that the contract asks for and the only one; memory and descriptors stay in place until the
// execution is over.
unsafe impl<const PAGE: usize> PageSource for Pages<PAGE> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        self.shadow.touch();
        let stage = Stage::get();
        stage.forbid_locks();
        for (index, home) in stage.home.iter().enumerate() {
            // Acquire pairs with the Release in `put`.
            let got = home.compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed);
            if got.is_ok() {
                stage.page_out(index, self.mm);
                stage.make_desc(index);
                write_all(stage.page(index), PAGE);
                return Ok(stage.desc(index));
            }
        }
        Err(AllocError)
    }

    /// Writes to the whole page before it lets go, so that loom reports everybody who used it and
    /// is not ordered before.
    unsafe fn put(&self, page: NonNull<PageDesc>) {
        self.shadow.touch();
        let stage = Stage::get();
        stage.forbid_locks();
        let index = stage.index(page);
        write_all(stage.page(index), PAGE);
        stage.page_in(index, self.mm);
        stage.home[index].store(true, Ordering::Release);
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.shadow.touch();
        let stage = Stage::get();
        stage.index_of(addr).map(|index| stage.desc(index))
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        self.shadow.touch();
        let stage = Stage::get();
        stage.page(stage.index(page))
    }
}

/// Hooks that write to each reclaimed fragment, as a destructor may.
pub struct Hooked {
    shadow: Shadow,
}

impl Hooked {
    pub fn new() -> Self {
        Self { shadow: Shadow::new() }
    }
}

impl Hooks for Hooked {
    fn page_out(&self, _: NonNull<u8>) {
        self.shadow.touch();
        Stage::with(Stage::forbid_locks);
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        self.shadow.touch();
        Stage::with(Stage::forbid_locks);
        Stage::with(|stage| stage.reclaimed(frag));
        write(frag);
        Stage::with(Stage::run_hook);
    }
}
