//! Blocks that no reader has seen: retiring gives them back at once, through ptfrag's handles or to the
//! global allocator.

use std::collections::HashSet;

use ptfrag::{Domain, Frag, Local, Std};

use super::{
    bare::{Bare, insist},
    boxed::Payload,
};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// ptfrag's handles. With `OTHER` each thread has two, one that allocates and one that gives back.
#[derive(Debug)]
pub struct Given<const N: usize, const SIZE: usize, const PAGE: usize, const OTHER: bool>(
    Bare<N, SIZE, PAGE, Std<'static, PAGE>>,
);

impl<const N: usize, const SIZE: usize, const PAGE: usize, const OTHER: bool> Allocator
    for Given<N, SIZE, PAGE, OTHER>
{
    type Block = Frag<N, SIZE, Std<'static, PAGE>>;
    type Handle<'a> = GivenHandle<N, SIZE, PAGE, OTHER>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        Self(Bare::new(setup))
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        let (mm, domain) = self.0.pool(pool);
        GivenHandle { local: mm.local(), other: mm.local(), domain }
    }

    fn quiesce(self) {
        self.0.quiesce();
    }

    fn holding(&self) -> Holding {
        self.0.holding()
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        0
    }
}

/// A thread's handle, or two.
#[derive(Debug)]
pub struct GivenHandle<const N: usize, const SIZE: usize, const PAGE: usize, const OTHER: bool> {
    local: Local<N, SIZE, Std<'static, PAGE>>,
    other: Local<N, SIZE, Std<'static, PAGE>>,
    domain: &'static Domain,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize, const OTHER: bool> Handle
    for GivenHandle<N, SIZE, PAGE, OTHER>
{
    type Block = Frag<N, SIZE, Std<'static, PAGE>>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        insist(self.domain, || self.local.alloc())
    }

    #[inline]
    fn retire(&mut self, frag: Self::Block) {
        if OTHER { self.other.give_back(frag) } else { self.local.give_back(frag) }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = self.domain.read();
        work()
    }

    fn progress(&mut self) {
        self.local.flush();
        self.other.flush();
    }
}

/// The global allocator.
#[derive(Debug)]
pub struct Heap<const SIZE: usize>;

impl<const SIZE: usize> Allocator for Heap<SIZE> {
    type Block = Box<Payload<SIZE, false>>;
    type Handle<'a> = HeapHandle<SIZE>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        HeapHandle
    }

    fn quiesce(self) {}

    fn holding(&self) -> Holding {
        Payload::<SIZE, false>::holding()
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        0
    }
}

/// A thread's way to the global allocator.
#[derive(Debug)]
pub struct HeapHandle<const SIZE: usize>;

impl<const SIZE: usize> Handle for HeapHandle<SIZE> {
    type Block = Box<Payload<SIZE, false>>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        Payload::boxed()
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        drop(block);
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        work()
    }

    fn progress(&mut self) {}
}
