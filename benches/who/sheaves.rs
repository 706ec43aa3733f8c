//! SLUB's sheaves, as of Linux 6.18: arrays of objects, handed about as a whole.
//!
//! A thread allocates from its `main` sheaf. What it frees under RCU goes to its `rcu_free` sheaf,
//! and that, when it is full, to one `call_rcu`. After the grace period it is a full sheaf in the
//! barn, which all threads share, or its objects go back to the slabs if the barn has enough of
//! those. An empty main sheaf is exchanged in the barn for a full one; if there is none, an empty
//! one is filled from slabs. `spare` is the one to fill, or to free into, without a visit to the
//! barn.
//!
//! Written from "Slabs, sheaves, and barns" (LWN, 2025, <https://lwn.net/Articles/1010667/>) and
//! the descriptions of the series "SLUB percpu sheaves" that Linux 6.18 has; the numbers are those
//! of its maple tree's nodes. Left out: NUMA nodes, each of which has a barn; interrupts and
//! migration, against which a CPU's sheaves have a lock; sheaves that are prefilled, and those that
//! cannot be had; and frees without a grace period, which would go to main and spare, so that here
//! the spare is always empty.

use std::{
    collections::HashSet,
    mem,
    ptr::NonNull,
    sync::{Arc, Mutex},
};

use ptfrag::{Domain, Rcu, RcuHead};

use super::{
    pages::{Fragment, Pages, lock},
    slabs::Slabs,
};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// Objects of a sheaf.
const CAPACITY: usize = 32;

/// So many full sheaves stay in a barn, and as many empty ones.
const MOST: usize = 10;

/// An array of objects.
#[repr(C)]
#[derive(Debug)]
struct Sheaf<const N: usize, const SIZE: usize, const PAGE: usize> {
    head: RcuHead,
    cache: NonNull<Cache<N, SIZE, PAGE>>,
    objects: Vec<Fragment<PAGE>>,
}

// SAFETY: the objects are the sheaf's, and the cache may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Send for Sheaf<N, SIZE, PAGE> {}

/// The sheaves that no thread has.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "sheaves stay where they are: an RCU call has their address")]
struct Barn<const N: usize, const SIZE: usize, const PAGE: usize> {
    full: Vec<Box<Sheaf<N, SIZE, PAGE>>>,
    empty: Vec<Box<Sheaf<N, SIZE, PAGE>>>,
}

/// What the threads on one mm share.
#[derive(Debug)]
struct Cache<const N: usize, const SIZE: usize, const PAGE: usize> {
    barn: Mutex<Barn<N, SIZE, PAGE>>,
    slabs: Slabs<N, SIZE, PAGE>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Cache<N, SIZE, PAGE> {
    fn new(source: Arc<Pages<PAGE>>) -> Self {
        let barn = Mutex::new(Barn { full: Vec::new(), empty: Vec::new() });
        Self { barn, slabs: Slabs::new(source) }
    }

    /// An empty sheaf.
    fn empty(&self) -> Box<Sheaf<N, SIZE, PAGE>> {
        let kept = lock(&self.barn).empty.pop();
        kept.unwrap_or_else(|| {
            let (head, cache) = (RcuHead::new(), NonNull::from(self));
            Box::new(Sheaf { head, cache, objects: Vec::with_capacity(CAPACITY) })
        })
    }

    /// Takes in a sheaf whose grace period is over. One that was cut short counts as full.
    fn store(&self, mut sheaf: Box<Sheaf<N, SIZE, PAGE>>) {
        let mut barn = lock(&self.barn);
        if barn.full.len() < MOST {
            barn.full.push(sheaf);
            return;
        }
        drop(barn);
        self.slabs.put(sheaf.objects.drain(..));
        let mut barn = lock(&self.barn);
        if barn.empty.len() < MOST {
            barn.empty.push(sheaf);
        }
    }
}

/// A cache for each mm. The caches do not move: sheaves point to them.
#[derive(Debug)]
pub struct Sheaves<const N: usize, const SIZE: usize, const PAGE: usize> {
    source: Arc<Pages<PAGE>>,
    caches: Vec<Cache<N, SIZE, PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Allocator for Sheaves<N, SIZE, PAGE> {
    type Block = Fragment<PAGE>;
    type Handle<'a> = SheavesHandle<'a, N, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let source: Arc<Pages<PAGE>> = Pages::new().into();
        let caches = (0..setup.sharing.mms()).map(|_| Cache::new(source.clone())).collect();
        Self { source, caches }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        let cache = &self.caches[pool % self.caches.len()];
        SheavesHandle { cache, main: cache.empty(), spare: None, rcu_free: None }
    }

    fn quiesce(self) {
        for Cache { barn, slabs } in &self.caches {
            slabs.wait(Domain::global());
            slabs.put(lock(barn).full.drain(..).flat_map(|sheaf| sheaf.objects));
            slabs.close();
        }
        assert_eq!(self.source.out(), 0, "a page is missing");
    }

    fn holding(&self) -> Holding {
        self.source.holding()
    }

    fn is_idle(&self) -> bool {
        self.caches.iter().all(|cache| cache.slabs.batches() == 0)
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        self.caches.iter().map(|cache| cache.slabs.batches()).sum()
    }
}

/// A thread's sheaves. A block is retired through a handle of the mm that it is from.
#[derive(Debug)]
pub struct SheavesHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize> {
    cache: &'a Cache<N, SIZE, PAGE>,
    main: Box<Sheaf<N, SIZE, PAGE>>,
    spare: Option<Box<Sheaf<N, SIZE, PAGE>>>,
    rcu_free: Option<Box<Sheaf<N, SIZE, PAGE>>>,
}

unsafe extern "C" fn over<const N: usize, const SIZE: usize, const PAGE: usize>(
    head: NonNull<RcuHead>,
) {
    let sheaf: NonNull<Sheaf<N, SIZE, PAGE>> = head.cast();
    // SAFETY: the head is the first field of what was a box and is nobody else's.
    let sheaf = unsafe { Box::from_raw(sheaf.as_ptr()) };
    // SAFETY: the cache waits for its sheaves.
    let cache = unsafe { sheaf.cache.as_ref() };
    cache.store(sheaf);
    cache.slabs.end();
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> SheavesHandle<'_, N, SIZE, PAGE> {
    fn empty(&mut self) -> Box<Sheaf<N, SIZE, PAGE>> {
        self.spare.take().unwrap_or_else(|| self.cache.empty())
    }

    /// Puts a sheaf with something in it in the place of the empty main one.
    #[cold]
    fn refill(&mut self) {
        let mut barn = lock(&self.cache.barn);
        if let Some(full) = barn.full.pop() {
            barn.empty.push(mem::replace(&mut self.main, full));
            return;
        }
        drop(barn);
        let mut sheaf = self.empty();
        self.cache.slabs.take(CAPACITY, &mut sheaf.objects);
        self.spare = Some(mem::replace(&mut self.main, sheaf));
    }

    /// Has the sheaf of what was freed wait for a grace period.
    fn submit(&mut self) {
        if let Some(sheaf) = self.rcu_free.take() {
            let head = NonNull::from(Box::leak(sheaf)).cast();
            // SAFETY: the sheaf was the caller's, so its head is idle, and the cache waits for it.
            unsafe { Domain::global().call(head, over::<N, SIZE, PAGE>) };
        }
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Handle
    for SheavesHandle<'_, N, SIZE, PAGE>
{
    type Block = Fragment<PAGE>;

    #[inline]
    fn allocate(&mut self) -> Fragment<PAGE> {
        loop {
            if let Some(object) = self.main.objects.pop() {
                return object;
            }
            self.refill();
        }
    }

    #[inline]
    fn retire(&mut self, block: Fragment<PAGE>) {
        let _section = Domain::global().read();
        if self.rcu_free.is_none() {
            self.cache.slabs.begin();
            self.rcu_free = Some(self.empty());
        }
        if let Some(sheaf) = &mut self.rcu_free {
            sheaf.objects.push(block);
            if sheaf.objects.len() == CAPACITY {
                self.submit();
            }
        }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        // As for `kvfree_rcu_barrier`.
        self.submit();
        Domain::global().poll();
    }
}

/// As when a CPU goes.
impl<const N: usize, const SIZE: usize, const PAGE: usize> Drop
    for SheavesHandle<'_, N, SIZE, PAGE>
{
    fn drop(&mut self) {
        self.submit();
        self.cache.slabs.put(self.main.objects.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Sharing;

    #[test]
    fn a_full_sheaf_is_one_call_and_the_barn_keeps_some() {
        let sheaves = Sheaves::<16, 256, 4096>::new(Setup { held: 0, sharing: Sharing::OneMm });
        let mut handle = sheaves.handle(0);
        let blocks: Vec<_> = (0..12 * CAPACITY + 1).map(|_| handle.allocate()).collect();
        let section = Domain::global().read();
        blocks.into_iter().for_each(|block| handle.retire(block));
        assert_eq!(sheaves.in_flight(0, &HashSet::new()), 13);
        drop(section);
        while !sheaves.is_idle() {
            handle.progress();
        }
        let barn = lock(&sheaves.caches[0].barn);
        assert_eq!(barn.full.len(), MOST);
        assert!(barn.full.iter().all(|sheaf| !sheaf.objects.is_empty()));
        assert!((3..=MOST).contains(&barn.empty.len()));
        drop(barn);
        drop(handle);
        sheaves.quiesce();
    }
}
