//! `Box` and seize.

use std::collections::HashSet;

use seize::{Collector, Guard, reclaim};

use super::boxed::Payload;
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// A collector of its own, which frees what is left when it is dropped.
#[derive(Debug)]
pub struct Seize<const SIZE: usize, const COUNT: bool>(Collector);

impl<const SIZE: usize, const COUNT: bool> Allocator for Seize<SIZE, COUNT> {
    type Block = Box<Payload<SIZE, COUNT>>;
    type Handle<'a> = SeizeHandle<'a, SIZE, COUNT>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self(Collector::new())
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        SeizeHandle(&self.0)
    }

    fn quiesce(self) {}

    fn holding(&self) -> Holding {
        Payload::<SIZE, COUNT>::holding()
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        Payload::<SIZE, COUNT>::waiting(held)
    }
}

/// The collector; its threads are found by their thread-locals.
#[derive(Debug)]
pub struct SeizeHandle<'a, const SIZE: usize, const COUNT: bool>(&'a Collector);

impl<const SIZE: usize, const COUNT: bool> Handle for SeizeHandle<'_, SIZE, COUNT> {
    type Block = Box<Payload<SIZE, COUNT>>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        Payload::boxed()
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        let guard = self.0.enter();
        // SAFETY: nobody else has the block, and it is from a `Box`.
        unsafe { guard.defer_retire(Box::into_raw(block), reclaim::boxed) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _guard = self.0.enter();
        work()
    }

    fn progress(&mut self) {
        self.0.enter().flush();
    }
}
