//! What the allocators of today's kernels have behind their caches: slabs, that is, pages from
//! which fragments are taken, and to which they are put back, by the dozen under a lock.
//!
//! Fragments come back after their grace period. So an empty page needs no other on its way home;
//! it goes there when more pages are listed than [`KEPT`], as one of SLUB's goes that has more
//! partial slabs than `min_partial`. The lists of UMA's kegs, SLUB's slabs of single CPUs and
//! freelists that change by compare-and-swap are left out.

use std::{
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::Domain;

use super::pages::{Fragment, Page, Pages, lock};

/// With more pages listed than this, one that is empty goes home; SLUB's least `min_partial`.
const KEPT: usize = 5;

/// The slabs of one cache.
///
/// # Invariants
/// `listed` has the pages that have something free, each at its `place`. A page's `state` has a bit
/// for each free fragment. Both change under the lock only.
#[derive(Debug)]
pub struct Slabs<const N: usize, const SIZE: usize, const PAGE: usize> {
    source: Arc<Pages<PAGE>>,
    listed: Mutex<Vec<NonNull<Page<PAGE>>>>,
    /// Batches of fragments that are being gathered or wait for their grace period.
    batches: AtomicUsize,
}

// SAFETY: the listed pages may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Send for Slabs<N, SIZE, PAGE> {}
// SAFETY: as above.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Sync for Slabs<N, SIZE, PAGE> {}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Slabs<N, SIZE, PAGE> {
    /// All fragments of a page.
    const ALL: u32 = (1 << N) - 1;

    /// No slabs yet.
    #[must_use]
    pub fn new(source: Arc<Pages<PAGE>>) -> Self {
        Self { source, listed: Mutex::default(), batches: AtomicUsize::new(0) }
    }

    /// Takes `n` fragments.
    pub fn take(&self, n: usize, into: &mut Vec<Fragment<PAGE>>) {
        let mut listed = lock(&self.listed);
        for _ in 0..n {
            let page = listed.last().copied().unwrap_or_else(|| {
                let page = self.source.get();
                // SAFETY: pages stay.
                unsafe { page.as_ref() }.state.store(Self::ALL, Ordering::Relaxed);
                list(&mut listed, page);
                page
            });
            // SAFETY: as above.
            let desc = unsafe { page.as_ref() };
            let free = desc.state.load(Ordering::Relaxed);
            let rest = free & (free - 1);
            desc.state.store(rest, Ordering::Relaxed);
            if rest == 0 {
                listed.pop();
            }
            let nth = free.trailing_zeros() as usize;
            // SAFETY: the fragment lies in the page.
            into.push(Fragment { addr: unsafe { desc.base().add(nth * SIZE) }, page });
        }
    }

    /// Puts fragments back that no reader can see any more.
    pub fn put(&self, fragments: impl IntoIterator<Item = Fragment<PAGE>>) {
        let mut listed = lock(&self.listed);
        for Fragment { addr, page } in fragments {
            // SAFETY: pages stay.
            let desc = unsafe { page.as_ref() };
            let nth = (addr.addr().get() - desc.base().addr().get()) / SIZE;
            let before = desc.state.load(Ordering::Relaxed);
            debug_assert!(before & (1 << nth) == 0, "a fragment came back twice");
            let free = before | (1 << nth);
            desc.state.store(free, Ordering::Relaxed);
            if before == 0 {
                list(&mut listed, page);
            }
            if free == Self::ALL && listed.len() > KEPT {
                unlist(&mut listed, desc.place.load(Ordering::Relaxed));
                // SAFETY: all of the page is here, and it is on no list.
                unsafe { self.source.put(page) };
            }
        }
    }

    /// Notes that a batch is begun.
    pub fn begin(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a batch is through. The slabs may be gone from here on.
    pub fn end(&self) {
        self.batches.fetch_sub(1, Ordering::Release);
    }

    /// Batches that were begun and are not through.
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::Acquire)
    }

    /// Waits until all batches are through.
    pub fn wait(&self, domain: &Domain) {
        while self.batches() != 0 {
            domain.barrier();
        }
    }

    /// Sends the last pages home. All fragments are back.
    pub fn close(&self) {
        for page in lock(&self.listed).drain(..) {
            // SAFETY: pages stay.
            let free = unsafe { page.as_ref() }.state.load(Ordering::Relaxed);
            assert_eq!(free, Self::ALL, "a fragment is missing");
            // SAFETY: all of the page is here.
            unsafe { self.source.put(page) };
        }
    }
}

/// Appends a page.
fn list<const PAGE: usize>(listed: &mut Vec<NonNull<Page<PAGE>>>, page: NonNull<Page<PAGE>>) {
    // SAFETY: pages stay.
    unsafe { page.as_ref() }.place.store(listed.len() as u32, Ordering::Relaxed);
    listed.push(page);
}

/// Removes the page at `place`, which the last one takes.
fn unlist<const PAGE: usize>(listed: &mut Vec<NonNull<Page<PAGE>>>, place: u32) {
    listed.swap_remove(place as usize);
    if let Some(moved) = listed.get(place as usize) {
        // SAFETY: pages stay.
        unsafe { moved.as_ref() }.place.store(place, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn empty_pages_go_home_beyond_the_bound() {
        let source: Arc<Pages<4096>> = Pages::new().into();
        let slabs = Slabs::<16, 256, 4096>::new(source.clone());
        let mut all = Vec::new();
        slabs.take(160, &mut all);
        let addrs: HashSet<_> = all.iter().map(|fragment| fragment.addr).collect();
        assert_eq!((addrs.len(), source.out()), (160, 10));
        // Every second fragment leaves each page half full, so none goes.
        let (even, odd): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|fragment| fragment.addr.addr().get() / 256 % 2 == 0);
        slabs.put(even);
        assert_eq!(source.out(), 10);
        slabs.put(odd);
        assert_eq!(source.out(), KEPT);
        slabs.close();
        assert_eq!(source.out(), 0);
    }
}
