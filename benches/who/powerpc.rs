//! powerpc's policy: per mm one bump pointer into one page, under the mm's lock. A page's count
//! begins at the number of its fragments, drops with each free, and at zero the page goes. A
//! fragment is never reused. One RCU call per page does, since every fragment was freed before it.

use std::{
    collections::HashSet,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use ptfrag::Domain;

use super::pages::{Fragment, Page, Pages, lock};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// The page that an mm hands out, and the index of the next fragment.
type Current<const PAGE: usize> = Option<(NonNull<Page<PAGE>>, usize)>;

/// Pages for some mms.
#[derive(Debug)]
pub struct Powerpc<const N: usize, const SIZE: usize, const PAGE: usize> {
    pages: Box<Pages<PAGE>>,
    mms: Vec<Mutex<Current<PAGE>>>,
}

// SAFETY: the pages that the mms point to may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Sync for Powerpc<N, SIZE, PAGE> {}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Powerpc<N, SIZE, PAGE> {
    /// Takes `n` off a page's count.
    ///
    /// # Safety
    /// They are the caller's.
    unsafe fn put(&self, page: NonNull<Page<PAGE>>, n: u32) {
        // SAFETY: pages stay.
        let count: &AtomicU32 = unsafe { &page.as_ref().state };
        // Each user's accesses come before the call, and with it before the page's next user.
        if count.fetch_sub(n, Ordering::AcqRel) == n {
            // SAFETY: all of the page has been freed.
            unsafe { self.pages.retire(Domain::global(), page) };
        }
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Allocator for Powerpc<N, SIZE, PAGE> {
    type Block = Fragment<PAGE>;
    type Handle<'a> = PowerpcHandle<'a, N, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let mms = (0..setup.sharing.mms()).map(|_| Mutex::new(None)).collect();
        Self { pages: Pages::new(), mms }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        PowerpcHandle { all: self, mm: &self.mms[pool % self.mms.len()] }
    }

    fn quiesce(self) {
        for mm in &self.mms {
            if let Some((page, next)) = lock(mm).take() {
                // SAFETY: nobody got them, and nobody will.
                unsafe { self.put(page, (N - next) as u32) };
            }
        }
        self.pages.quiesce(Domain::global());
    }

    fn holding(&self) -> Holding {
        self.pages.holding()
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        self.pages.calls()
    }
}

/// A thread's way to its mm.
#[derive(Debug)]
pub struct PowerpcHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize> {
    all: &'a Powerpc<N, SIZE, PAGE>,
    mm: &'a Mutex<Current<PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Handle
    for PowerpcHandle<'_, N, SIZE, PAGE>
{
    type Block = Fragment<PAGE>;

    #[inline]
    fn allocate(&mut self) -> Fragment<PAGE> {
        let mut current = lock(self.mm);
        let (page, next) = current.unwrap_or_else(|| {
            let page = self.all.pages.get();
            // SAFETY: pages stay.
            unsafe { page.as_ref() }.state.store(N as u32, Ordering::Relaxed);
            (page, 0)
        });
        *current = (next + 1 < N).then_some((page, next + 1));
        // SAFETY: pages stay.
        let base = unsafe { page.as_ref() }.base();
        // SAFETY: `next` is below `N`.
        Fragment { addr: unsafe { base.add(next * SIZE) }, page }
    }

    #[inline]
    fn retire(&mut self, block: Fragment<PAGE>) {
        let _section = Domain::global().read();
        // SAFETY: the fragment was the caller's.
        unsafe { self.all.put(block.page, 1) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        Domain::global().poll();
    }
}
