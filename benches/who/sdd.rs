//! sdd, which has a block type of its own with its links inside.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use sdd::{Guard, Owned};

use super::boxed::Payload;
use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// Sentinels that are not freed yet. sdd has one collector for the whole process.
static SENTINELS: AtomicUsize = AtomicUsize::new(0);

/// The last thing that a thread retires: when it is freed, so is what the thread retired before.
struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        SENTINELS.fetch_sub(1, Ordering::Release);
    }
}

fn progress() {
    let guard = Guard::new();
    guard.accelerate();
}

/// The process's collector.
#[derive(Debug)]
pub struct Sdd<const SIZE: usize, const COUNT: bool>;

impl<const SIZE: usize, const COUNT: bool> Allocator for Sdd<SIZE, COUNT> {
    type Block = SddBlock<SIZE, COUNT>;
    type Handle<'a> = SddHandle<SIZE, COUNT>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        SENTINELS.fetch_add(1, Ordering::Relaxed);
        SddHandle
    }

    fn quiesce(self) {
        while SENTINELS.load(Ordering::Acquire) != 0 {
            progress();
        }
    }

    fn holding(&self) -> Holding {
        Payload::<SIZE, COUNT>::holding()
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        Payload::<SIZE, COUNT>::waiting(held)
    }
}

/// A block with sdd's links behind it.
#[derive(Debug)]
pub struct SddBlock<const SIZE: usize, const COUNT: bool>(Owned<Payload<SIZE, COUNT>>);

impl<const SIZE: usize, const COUNT: bool> Block for SddBlock<SIZE, COUNT> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        // SAFETY: the block is not published, so nobody else has a reference.
        std::ptr::from_mut(unsafe { self.0.get_mut() }).cast()
    }
}

/// A thread of sdd's.
#[derive(Debug)]
pub struct SddHandle<const SIZE: usize, const COUNT: bool>;

impl<const SIZE: usize, const COUNT: bool> Handle for SddHandle<SIZE, COUNT> {
    type Block = SddBlock<SIZE, COUNT>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        SddBlock(Owned::new_with(Payload::new))
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        let _guard = Guard::new();
        // Dropping hands it to the collector.
        drop(block);
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _guard = Guard::new();
        work()
    }

    fn progress(&mut self) {
        progress();
    }
}

impl<const SIZE: usize, const COUNT: bool> Drop for SddHandle<SIZE, COUNT> {
    fn drop(&mut self) {
        let _guard = Guard::new();
        drop(Owned::new(Sentinel));
    }
}
