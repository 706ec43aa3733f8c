//! s390's policy as of v6.6: pages of two halves; per mm a list of those with one half to give, and
//! a lock that every allocation and every free takes. A half that was freed with a grace period is
//! not handed out again: its page goes when both are free. One RCU call per page does here too.

use std::{
    collections::HashSet,
    ptr::NonNull,
    sync::{Mutex, atomic::Ordering},
};

use ptfrag::Domain;

use super::pages::{Fragment, Page, Pages, lock};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// The listed pages: those whose second half nobody has had.
type List<const PAGE: usize> = Vec<NonNull<Page<PAGE>>>;

/// Pages for some mms. A page's state is how many of its halves are used, under its mm's lock.
#[derive(Debug)]
pub struct S390<const SIZE: usize, const PAGE: usize> {
    pages: Box<Pages<PAGE>>,
    mms: Vec<Mutex<List<PAGE>>>,
}

// SAFETY: the pages that the mms point to may be shared.
unsafe impl<const SIZE: usize, const PAGE: usize> Sync for S390<SIZE, PAGE> {}

impl<const SIZE: usize, const PAGE: usize> Allocator for S390<SIZE, PAGE> {
    type Block = Fragment<PAGE>;
    type Handle<'a> = S390Handle<'a, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let mms = (0..setup.sharing.mms()).map(|_| Mutex::default()).collect();
        Self { pages: Pages::new(), mms }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        S390Handle { all: self, mm: &self.mms[pool % self.mms.len()] }
    }

    fn quiesce(self) {
        // A listed page has its first half in use, so none is when everything is retired.
        self.pages.quiesce(Domain::global());
    }

    fn holding(&self) -> Holding {
        self.pages.holding()
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        self.pages.calls()
    }
}

/// A thread's way to its mm. A block is retired through a handle of the mm that it is from.
#[derive(Debug)]
pub struct S390Handle<'a, const SIZE: usize, const PAGE: usize> {
    all: &'a S390<SIZE, PAGE>,
    mm: &'a Mutex<List<PAGE>>,
}

impl<const SIZE: usize, const PAGE: usize> Handle for S390Handle<'_, SIZE, PAGE> {
    type Block = Fragment<PAGE>;

    #[inline]
    fn allocate(&mut self) -> Fragment<PAGE> {
        let mut list = lock(self.mm);
        let (page, half) = match list.pop() {
            Some(page) => (page, 1),
            None => {
                let page = self.all.pages.get();
                list.push(page);
                (page, 0)
            }
        };
        // SAFETY: pages stay.
        let desc = unsafe { page.as_ref() };
        // Relaxed, here and below: under the lock.
        desc.state.store(half + 1, Ordering::Relaxed);
        // SAFETY: a page has two halves.
        Fragment { addr: unsafe { desc.base().add(half as usize * SIZE) }, page }
    }

    #[inline]
    fn retire(&mut self, block: Fragment<PAGE>) {
        let _section = Domain::global().read();
        let mut list = lock(self.mm);
        list.retain(|&listed| listed != block.page);
        // SAFETY: pages stay.
        let last = unsafe { block.page.as_ref() }.state.fetch_sub(1, Ordering::Relaxed) == 1;
        drop(list);
        if last {
            // SAFETY: both halves are free and the page is not listed.
            unsafe { self.all.pages.retire(Domain::global(), block.page) };
        }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        Domain::global().poll();
    }
}
