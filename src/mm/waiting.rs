//! Pages whose callback found the lock held: they wait on a stack of their mm, and one RCU head of the mm
//! comes again for all of them. So a holder that has stopped costs every grace period a callback, and not
//! one for each page.

use core::ptr::{self, NonNull};

use crate::{
    page::PageDesc,
    rcu_head::RcuHead,
    sync::{AtomicPtr, Ordering, UnsafeCell},
};

/// The stack, and the RCU head that comes again.
///
/// # Invariants
/// `top` is null, or the chain of pages that wait ends with the mark, and then the head is queued, or its
/// callback runs, to which the chain that begins with `rest` belongs, too. Each page on either is HOOKED, so that
/// nobody but the callback changes its P, and pins the mm's head.
#[repr(C)]
pub(super) struct Waiting {
    pub(super) rcu: RcuHead,
    top: AtomicPtr<PageDesc>,
    rest: UnsafeCell<*mut PageDesc>,
}

/// What stands at the end of a chain: not null, and no page.
const MARK: *mut PageDesc = ptr::without_provenance_mut(1);

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            rcu: RcuHead::new(),
            top: AtomicPtr::new(ptr::null_mut()),
            rest: UnsafeCell::new(MARK),
        }
    }

    /// Whether no page waits: a hint.
    pub(super) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// Puts a page on top; says whether the head is the caller's to queue.
    ///
    /// # Safety
    /// The page is HOOKED, and its RCU head idle and the caller's.
    pub(super) unsafe fn push(&self, page: NonNull<PageDesc>) -> bool {
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: passed on to the caller.
            unsafe { put_in_front(page, if top.is_null() { MARK } else { top }) };
            // Release: the callback of the page before what is done for it.
            let (set, seen) = (Ordering::Release, Ordering::Relaxed);
            match self.top.compare_exchange_weak(top, page.as_ptr(), set, seen) {
                Ok(_) => return top.is_null(),
                Err(now) => top = now,
            }
        }
    }

    /// Takes a page off, and says whether it was the last. If so the mark is taken away as well: the head
    /// is idle, and whoever pushes the next page queues it.
    ///
    /// # Safety
    /// The caller is the head's callback, and a page waits.
    pub(super) unsafe fn pop(&self) -> (NonNull<PageDesc>, bool) {
        // SAFETY: the field is the callback's, here and below.
        let mut page = self.rest.with(|rest| unsafe { *rest });
        if page == MARK {
            // Acquire pairs with the Release in `push`.
            page = self.top.swap(MARK, Ordering::Acquire);
        }
        // SAFETY: a page waits.
        let page = unsafe { NonNull::new_unchecked(page) };
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // SAFETY: the page is on a chain of the callback's.
        let rest = unsafe { desc.link() }.map_or(MARK, NonNull::as_ptr);
        // SAFETY: as above.
        self.rest.with_mut(|place| unsafe { *place = rest });
        // Release: the callback before the next one of this head.
        let (set, seen) = (Ordering::Release, Ordering::Relaxed);
        let last =
            rest == MARK && self.top.compare_exchange(MARK, ptr::null_mut(), set, seen).is_ok();
        (page, last)
    }
}

/// # Safety
/// The page's RCU head is idle and the caller's.
unsafe fn put_in_front(page: NonNull<PageDesc>, of: *mut PageDesc) {
    // SAFETY: descriptors are type-stable.
    let desc = unsafe { page.as_ref() };
    // SAFETY: the RCU head is the caller's.
    unsafe { desc.set_link(NonNull::new(of)) };
}
