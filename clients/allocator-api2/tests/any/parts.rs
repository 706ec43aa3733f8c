//! What all tests use: mms over a source that counts its pages, and values that count their drops.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ptfrag::{Domain, Embed, Memory, Mm, SpinLock};

/// Pages of the heap, counted.
pub type Source = Arc<Memory<4096>>;

/// The parts of the tests' mms.
#[derive(Debug)]
pub struct Parts;

impl Embed for Parts {
    type Rcu = &'static Domain;
    type Source = Source;
    type Lock = SpinLock;
    type Hooks = ();
}

pub type Small = Mm<16, 256, Parts>;

/// An mm that can have so many pages, and their source.
pub fn mm<const FRAGS: usize, const SIZE: usize>(pages: usize) -> (Mm<FRAGS, SIZE, Parts>, Source) {
    let source = Arc::new(Memory::in_heap(pages).expect("the heap has room"));
    (Mm::new_in(Domain::global(), Arc::clone(&source), ()), source)
}

/// The same with 16 fragments of 256 bytes to a page.
pub fn small(pages: usize) -> (Small, Source) {
    mm(pages)
}

/// Counts how many values are there, and how many were ever dropped.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Counter {
    pub fn value(&self, number: usize) -> Counted {
        self.with(number, Bomb::None)
    }

    pub fn with(&self, number: usize, bomb: Bomb) -> Counted {
        self.made.fetch_add(1, Ordering::Relaxed);
        Counted { number, counter: self.clone(), bomb }
    }

    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Values that were not dropped, or minus those that were dropped twice.
    pub fn alive(&self) -> isize {
        self.made.load(Ordering::Relaxed) as isize - self.dropped() as isize
    }
}

/// What panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bomb {
    None,
    InClone,
    InDrop,
}

/// A value that is counted; 32 bytes on most machines.
#[derive(Debug)]
pub struct Counted {
    pub number: usize,
    counter: Counter,
    bomb: Bomb,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        assert!(self.bomb != Bomb::InClone, "a clone that fails");
        self.counter.with(self.number, self.bomb)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.dropped.fetch_add(1, Ordering::Relaxed);
        assert!(self.bomb != Bomb::InDrop, "a destructor that fails");
    }
}
