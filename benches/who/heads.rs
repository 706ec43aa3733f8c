//! Blocks from the heap with an RCU head each in front, under the built-in domain: what somebody makes of it who
//! has no use for pages.

use std::{collections::HashSet, ptr::NonNull};

use ptfrag::{Domain, Rcu, RcuHead};

use super::boxed::Payload;
use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// The heap, and the global domain.
#[derive(Debug)]
pub struct Heads<const SIZE: usize>;

/// A block behind its head. It counts itself.
#[repr(C)]
#[derive(Debug)]
pub struct Headed<const SIZE: usize> {
    head: RcuHead,
    payload: Payload<SIZE, true>,
}

impl<const SIZE: usize> Block for Box<Headed<SIZE>> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        (&raw mut self.payload).cast()
    }
}

impl<const SIZE: usize> Allocator for Heads<SIZE> {
    type Block = Box<Headed<SIZE>>;
    type Handle<'a> = HeadsHandle<SIZE>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        HeadsHandle(Domain::global())
    }

    fn quiesce(self) {
        Domain::global().barrier();
    }

    fn holding(&self) -> Holding {
        Payload::<SIZE, true>::holding()
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        Payload::<SIZE, true>::waiting(held)
    }
}

/// A thread's way to the domain: nothing of its own.
#[derive(Debug)]
pub struct HeadsHandle<const SIZE: usize>(&'static Domain);

impl<const SIZE: usize> Handle for HeadsHandle<SIZE> {
    type Block = Box<Headed<SIZE>>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        Box::new(Headed { head: RcuHead::new(), payload: Payload::new() })
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        unsafe extern "C" fn done<const SIZE: usize>(head: NonNull<RcuHead>) {
            // SAFETY: the head is the first field of a box that was leaked for this callback.
            drop(unsafe { Box::from_raw(head.cast::<Headed<SIZE>>().as_ptr()) });
        }
        let _section = self.0.read();
        let head = NonNull::from(Box::leak(block)).cast();
        // SAFETY: the head is idle, and its callback's alone from here on.
        unsafe { self.0.call(head, done::<SIZE>) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = self.0.read();
        work()
    }

    fn progress(&mut self) {
        self.0.poll();
    }
}
