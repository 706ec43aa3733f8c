//! The control: a free list of fragments under a mutex, and an RCU head and call for each of them.

use std::{
    collections::HashSet,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, PageSource, Rcu, RcuHead, Region};

use super::pages::{PAGES, lock};
use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// A fragment with its head, which lies outside of it.
#[repr(C)]
#[derive(Debug)]
struct Item<const PAGE: usize> {
    head: RcuHead,
    addr: NonNull<u8>,
    pool: NonNull<Pool<PAGE>>,
}

#[derive(Debug)]
struct Pool<const PAGE: usize> {
    region: Region<PAGE>,
    free: Mutex<Free<PAGE>>,
    /// Fragments handed out and not back yet.
    out: AtomicUsize,
}

#[derive(Debug)]
struct Free<const PAGE: usize> {
    list: Vec<NonNull<Item<PAGE>>>,
    /// The items of every page that the pool has ever taken.
    pages: Vec<Box<[Item<PAGE>]>>,
}

/// A free list for each mm. The pools do not move: items point to them.
#[derive(Debug)]
pub struct MutexList<const N: usize, const SIZE: usize, const PAGE: usize>(Vec<Pool<PAGE>>);

// SAFETY: the items that the lists point to may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Sync
    for MutexList<N, SIZE, PAGE>
{
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Allocator for MutexList<N, SIZE, PAGE> {
    type Block = ItemBlock<PAGE>;
    type Handle<'a> = MutexHandle<'a, N, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let pool = |_| {
            let region = Region::new(PAGES).expect("address space for the pages");
            let free = Mutex::new(Free { list: Vec::new(), pages: Vec::new() });
            Pool { region, free, out: AtomicUsize::new(0) }
        };
        Self((0..setup.sharing.mms()).map(pool).collect())
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        MutexHandle(&self.0[pool % self.0.len()])
    }

    fn quiesce(self) {
        for pool in &self.0 {
            while pool.out.load(Ordering::Acquire) != 0 {
                Domain::global().barrier();
            }
        }
    }

    fn holding(&self) -> Holding {
        let pages: usize = self.0.iter().map(|pool| lock(&pool.free).pages.len()).sum();
        Holding { bytes: pages * PAGE, heap: 0, beside: 0 }
    }

    fn is_idle(&self) -> bool {
        self.0.iter().all(|pool| pool.out.load(Ordering::Acquire) == 0)
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        self.0.iter().map(|pool| pool.out.load(Ordering::Relaxed)).sum::<usize>() - held
    }
}

/// A fragment that is out.
#[derive(Debug)]
pub struct ItemBlock<const PAGE: usize> {
    item: NonNull<Item<PAGE>>,
    addr: NonNull<u8>,
}

// SAFETY: the fragment is its owner's, and the item with it.
unsafe impl<const PAGE: usize> Send for ItemBlock<PAGE> {}

impl<const PAGE: usize> Block for ItemBlock<PAGE> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.addr.as_ptr()
    }
}

/// A thread's way to its mm's list.
#[derive(Debug)]
pub struct MutexHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize>(&'a Pool<PAGE>);

impl<const N: usize, const SIZE: usize, const PAGE: usize> MutexHandle<'_, N, SIZE, PAGE> {
    #[cold]
    fn grow(&self, free: &mut Free<PAGE>) {
        let desc = self.0.region.get().expect("pages enough for all that waits");
        // SAFETY: the page is from this region.
        let base = unsafe { self.0.region.addr(desc) };
        let item = |nth| Item {
            head: RcuHead::new(),
            // SAFETY: the fragment lies in the page.
            addr: unsafe { base.add(nth * SIZE) },
            pool: NonNull::from(self.0),
        };
        let mut items: Box<[Item<PAGE>]> = (0..N).map(item).collect();
        free.list.extend(items.iter_mut().map(NonNull::from));
        free.pages.push(items);
    }
}

unsafe extern "C" fn back<const PAGE: usize>(head: NonNull<RcuHead>) {
    let item: NonNull<Item<PAGE>> = head.cast();
    // SAFETY: the head is an item's first field.
    let pool = unsafe { item.as_ref() }.pool;
    // SAFETY: the pool waits for its fragments.
    let pool = unsafe { pool.as_ref() };
    lock(&pool.free).list.push(item);
    pool.out.fetch_sub(1, Ordering::Release);
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Handle
    for MutexHandle<'_, N, SIZE, PAGE>
{
    type Block = ItemBlock<PAGE>;

    #[inline]
    fn allocate(&mut self) -> ItemBlock<PAGE> {
        let mut free = lock(&self.0.free);
        let item = loop {
            match free.list.pop() {
                Some(item) => break item,
                None => self.grow(&mut free),
            }
        };
        drop(free);
        self.0.out.fetch_add(1, Ordering::Relaxed);
        // SAFETY: items live as long as their pool.
        ItemBlock { item, addr: unsafe { item.as_ref() }.addr }
    }

    #[inline]
    fn retire(&mut self, block: ItemBlock<PAGE>) {
        let _section = Domain::global().read();
        // SAFETY: the fragment was the caller's, so its head is idle; the pool outlives the call.
        unsafe { Domain::global().call(block.item.cast(), back::<PAGE>) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        Domain::global().poll();
    }
}
