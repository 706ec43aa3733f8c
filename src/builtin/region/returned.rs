//! Pages that have come back and wait for whoever takes the region's lock next.

use core::ptr::NonNull;

use super::{Inner, free::Free};
use crate::{
    page::PageDesc,
    sync::{AtomicU64, AtomicUsize, Ordering},
};

/// So many low bits hold the top page's number, plus one; those above hold how many pages there are.
const NUMBER: u32 = 48;

/// The most pages of a region.
pub(super) const MOST: usize = (u64::MAX >> (u64::BITS - NUMBER)) as usize;

/// A stack to which pages are added without a lock, and which is taken as a whole, so that none can be mistaken
/// for one that was there before.
///
/// # Invariants
/// Zero, or the number of pages and that of the top one, which are linked through their descriptors, the last one
/// to nothing. All of them are at their source.
pub(super) struct Returned {
    top: AtomicU64,
    /// With so many one of those who put them takes the lock.
    room: AtomicUsize,
}

impl Returned {
    pub(super) fn new() -> Self {
        Self { top: AtomicU64::new(0), room: AtomicUsize::new(1) }
    }

    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: a thread sees what it has put itself.
        self.top.load(Ordering::Relaxed) == 0
    }

    /// Sets how many there is room for, and says whether there are fewer. SeqCst, as in
    /// [`put_in_front`](Inner::put_in_front): either the one who puts the page too many sees this, or it is seen here.
    pub(super) fn make_room(&self, room: usize) -> bool {
        if self.room.load(Ordering::Relaxed) != room {
            self.room.store(room, Ordering::SeqCst);
        }
        ((self.top.load(Ordering::SeqCst) >> NUMBER) as usize) < room
    }
}

impl Inner {
    /// Adds a page, and says whether there is no room for more.
    ///
    /// # Safety
    /// The page is at its source and on no stack.
    pub(super) unsafe fn put_in_front(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: a descriptor stays one as long as its source lives.
        let desc = unsafe { page.as_ref() };
        let mut now = self.returned.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: the page is this thread's alone until it is added.
            unsafe { desc.set_link(self.top_of(now)) };
            let count = (now >> NUMBER) + 1;
            let new = count << NUMBER | (self.number(page) as u64 + 1);
            // Release, and more: all that was done to the page happens before it is handed out again.
            let (set, seen) = (Ordering::SeqCst, Ordering::Relaxed);
            match self.returned.top.compare_exchange_weak(now, new, set, seen) {
                // If more threads are here than fit, it is only for each of them to take the lock.
                Ok(_) => return count as usize >= self.returned.room.load(Ordering::SeqCst),
                Err(other) => now = other,
            }
        }
    }

    /// Takes all and puts them on the stacks, in the order in which they were added.
    pub(super) fn drain_returned(&self, free: &mut Free) {
        // Acquire pairs with the Release above.
        let mut top = self.top_of(self.returned.top.swap(0, Ordering::Acquire));
        // Turned round, so that the page that came back first is the first to find room among the warm ones.
        let mut first = None;
        while let Some(page) = top {
            // SAFETY: a descriptor stays one as long as its source lives.
            let desc = unsafe { page.as_ref() };
            // SAFETY: the pages are this thread's since it took them, here and below.
            top = unsafe { desc.link() };
            // SAFETY: as above.
            unsafe { desc.set_link(first) };
            first = Some(page);
        }
        while let Some(page) = first {
            // SAFETY: as above.
            let desc = unsafe { page.as_ref() };
            // SAFETY: as above.
            first = unsafe { desc.link() };
            // SAFETY: the page is on no stack, and `free` is behind the lock.
            unsafe { free.come_back(page, self.keep) };
        }
    }

    fn top_of(&self, state: u64) -> Option<NonNull<PageDesc>> {
        let number = state as usize & MOST;
        // SAFETY: it is a page's number.
        (number != 0).then(|| unsafe { self.nth(number - 1) })
    }
}
