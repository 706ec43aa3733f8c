//! The control: a free list of fragments under a mutex, and an RCU head and call for each of them.

use std::{
    collections::HashSet,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, Rcu, RcuHead};

use super::pages::{Chunk, lock};
use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// A fragment with its head, which lies outside of it.
#[repr(C)]
#[derive(Debug)]
struct Item {
    head: RcuHead,
    addr: NonNull<u8>,
    pool: NonNull<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    free: Mutex<Free>,
    /// Fragments handed out and not back yet.
    out: AtomicUsize,
}

#[derive(Debug, Default)]
struct Free {
    list: Vec<NonNull<Item>>,
    /// What the pool has ever taken, to be freed with it.
    chunks: Vec<(Chunk, Box<[Item]>)>,
}

/// A free list for each mm.
#[derive(Debug)]
pub struct MutexList<const N: usize, const SIZE: usize>(Vec<Box<Pool>>);

// SAFETY: the items that the lists point to may be shared.
unsafe impl<const N: usize, const SIZE: usize> Sync for MutexList<N, SIZE> {}

impl<const N: usize, const SIZE: usize> Allocator for MutexList<N, SIZE> {
    type Block = ItemBlock;
    type Handle<'a> = MutexHandle<'a, N, SIZE>;

    const PAGE: usize = N * SIZE;

    fn new(setup: Setup) -> Self {
        Self((0..setup.sharing.mms()).map(|_| Box::default()).collect())
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
        let chunks: usize = self.0.iter().map(|pool| lock(&pool.free).chunks.len()).sum();
        let bytes = chunks * Self::PAGE;
        Holding { bytes, heap: bytes, beside: 0 }
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
pub struct ItemBlock {
    item: NonNull<Item>,
    addr: NonNull<u8>,
}

// SAFETY: the fragment is its owner's, and the item with it.
unsafe impl Send for ItemBlock {}

impl Block for ItemBlock {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.addr.as_ptr()
    }
}

/// A thread's way to its mm's list.
#[derive(Debug)]
pub struct MutexHandle<'a, const N: usize, const SIZE: usize>(&'a Pool);

impl<const N: usize, const SIZE: usize> MutexHandle<'_, N, SIZE> {
    #[cold]
    fn grow(&self, free: &mut Free) {
        let chunk = Chunk::new(N * SIZE);
        let item = |nth| Item {
            head: RcuHead::new(),
            // SAFETY: the fragment lies in the chunk.
            addr: unsafe { chunk.base.add(nth * SIZE) },
            pool: NonNull::from(self.0),
        };
        let mut items: Box<[Item]> = (0..N).map(item).collect();
        free.list.extend(items.iter_mut().map(NonNull::from));
        free.chunks.push((chunk, items));
    }
}

unsafe extern "C" fn back(head: NonNull<RcuHead>) {
    let item: NonNull<Item> = head.cast();
    // SAFETY: the head is an item's first field.
    let pool = unsafe { item.as_ref() }.pool;
    // SAFETY: the pool waits for its fragments.
    let pool = unsafe { pool.as_ref() };
    lock(&pool.free).list.push(item);
    pool.out.fetch_sub(1, Ordering::Release);
}

impl<const N: usize, const SIZE: usize> Handle for MutexHandle<'_, N, SIZE> {
    type Block = ItemBlock;

    #[inline]
    fn allocate(&mut self) -> ItemBlock {
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
    fn retire(&mut self, block: ItemBlock) {
        let _section = Domain::global().read();
        // SAFETY: the fragment was the caller's, so its head is idle; the pool outlives the call.
        unsafe { Domain::global().call(block.item.cast(), back) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        Domain::global().poll();
    }
}
