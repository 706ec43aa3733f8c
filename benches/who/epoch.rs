//! `Box` and crossbeam-epoch.

use std::collections::HashSet;

use crossbeam_epoch::{Collector, LocalHandle, Owned};

use super::boxed::Payload;
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// A collector of its own, which frees what is left when the last of it is dropped.
#[derive(Debug)]
pub struct Epoch<const SIZE: usize, const COUNT: bool>(Collector);

impl<const SIZE: usize, const COUNT: bool> Allocator for Epoch<SIZE, COUNT> {
    type Block = Box<Payload<SIZE, COUNT>>;
    type Handle<'a> = EpochHandle<SIZE, COUNT>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self(Collector::new())
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        EpochHandle(self.0.register())
    }

    fn quiesce(self) {}

    fn holding(&self) -> Holding {
        Payload::<SIZE, COUNT>::holding()
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        Payload::<SIZE, COUNT>::waiting(held)
    }
}

/// A registered thread. Dropping it flushes.
#[derive(Debug)]
pub struct EpochHandle<const SIZE: usize, const COUNT: bool>(LocalHandle);

impl<const SIZE: usize, const COUNT: bool> Handle for EpochHandle<SIZE, COUNT> {
    type Block = Box<Payload<SIZE, COUNT>>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        Payload::boxed()
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        let guard = self.0.pin();
        let shared = Owned::<Payload<SIZE, COUNT>>::from(block).into_shared(&guard);
        // SAFETY: nobody else has the block.
        unsafe { guard.defer_destroy(shared) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _guard = self.0.pin();
        work()
    }

    fn progress(&mut self) {
        self.0.pin().flush();
    }
}
