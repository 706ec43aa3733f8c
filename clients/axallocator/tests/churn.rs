//! Mms on the pages that others use, too, with many threads and a hundred times as much of everything.

mod common;

use std::{
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use axallocator::PageAllocator;
use common::{Kernel, THEIRS};
use ptfrag::{Domain, Embed, Frag, Mm, Nested, SpinLock, Zeroed};
use ptfrag_client_axallocator::{Global, SharedPages};

const PAGE: usize = 65536;
/// Pages of the kernel's: 64 of ours.
const COUNT: usize = 64 * 16;
/// Pages of somebody else, at most.
const OTHERS: usize = 64;

/// Large pages, with fragments that are zero.
struct Large;
impl Embed for Large {
    type Rcu = &'static Domain;
    type Source = SharedPages<PAGE, Kernel>;
    type Lock = SpinLock;
    type Hooks = Zeroed<PAGE, 4096>;
}

/// Small pages from large ones.
struct Small;
impl Embed for Small {
    type Rcu = &'static Domain;
    type Source = Arc<Nested<16, 4096, Large>>;
    type Lock = SpinLock;
    type Hooks = ();
}

/// The kernel's own pages.
struct Theirs;
impl Embed for Theirs {
    type Rcu = &'static Domain;
    type Source = SharedPages<THEIRS, Kernel>;
    type Lock = SpinLock;
    type Hooks = ();
}

fn large(pages: SharedPages<PAGE, Kernel>) -> Mm<16, 4096, Large> {
    // SAFETY: for an mm of this geometry.
    Mm::new_in(Domain::global(), pages, unsafe { Zeroed::new() })
}

/// A fragment, after a grace period if there is none at once.
fn some<const FRAGS: usize, const SIZE: usize, E: Embed>(
    mm: &Mm<FRAGS, SIZE, E>,
) -> Frag<FRAGS, SIZE, E> {
    for _ in 0..1000 {
        if let Ok(frag) = mm.alloc() {
            return frag;
        }
        Domain::global().barrier();
        thread::yield_now();
    }
    panic!("pages do not come back");
}

/// Allocates, shows, retires and gives back.
fn churn<const FRAGS: usize, const SIZE: usize, E: Embed>(
    mm: &Mm<FRAGS, SIZE, E>,
    rounds: usize,
    fresh: impl Fn(&[u8; SIZE]) -> bool,
) {
    let slot = mm.slot();
    let mut frags: Vec<(u8, Frag<FRAGS, SIZE, E>)> = Vec::new();
    for round in 0..rounds {
        while frags.len() < 40 {
            let (mark, mut frag) = (fastrand::u8(..), some(mm));
            assert!(fresh(&frag), "a fragment is not as it should be handed out");
            frag.fill(mark);
            frags.push((mark, frag));
        }
        while frags.len() > 20 {
            let (mark, frag) = frags.swap_remove(fastrand::usize(..frags.len()));
            assert!(frag.iter().all(|byte| *byte == mark), "somebody else wrote to a fragment");
            match fastrand::u8(..3) {
                0 => frag.retire(),
                1 => frag.give_back(),
                _ => slot.publish(frag),
            }
        }
        if round % 4 == 0 {
            drop(Domain::global().read());
        }
    }
}

/// Pages of somebody else.
struct Block {
    at: NonNull<u8>,
    count: usize,
    mark: u8,
}

impl Block {
    fn new(kernel: &Kernel, count: usize) -> Option<Self> {
        let at = kernel.with(|pages| pages.alloc_pages(count, THEIRS)).ok()?;
        let at = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(at))?;
        let mark = fastrand::u8(..);
        // SAFETY: the pages are ours.
        unsafe { at.write_bytes(mark, count * THEIRS) };
        Some(Self { at, count, mark })
    }

    fn free(self, kernel: &Kernel) {
        let bytes = NonNull::slice_from_raw_parts(self.at, self.count * THEIRS);
        // SAFETY: the pages are ours, and have been written.
        let kept = unsafe { bytes.as_ref() }.iter().all(|byte| *byte == self.mark);
        assert!(kept, "somebody else has written to a page");
        kernel.with(|pages| pages.dealloc_pages(self.at.addr().get(), self.count));
    }
}

/// Has pages of its own until it is told to stop.
fn others(kernel: &Kernel, stop: &AtomicBool) {
    let mut blocks: Vec<Block> = Vec::new();
    loop {
        let stopped = stop.load(Ordering::Relaxed);
        let count = fastrand::usize(1..9);
        let have: usize = blocks.iter().map(|block| block.count).sum();
        if !stopped && have + count <= OTHERS {
            blocks.extend(Block::new(kernel, count));
        } else if !blocks.is_empty() {
            blocks.swap_remove(fastrand::usize(..blocks.len())).free(kernel);
        } else {
            return;
        }
    }
}

/// Has four threads do some work on the pages, and somebody else have some of them, too.
fn beside_others(kernel: &Kernel, work: impl Fn() + Sync) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| others(kernel, &stop));
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(&work)).collect();
        let done = workers.into_iter().try_for_each(thread::ScopedJoinHandle::join);
        stop.store(true, Ordering::Relaxed);
        assert!(done.is_ok(), "see above");
    });
}

/// Runs callbacks until nothing waits any more.
fn settle(pages: impl Fn() -> usize) {
    for _ in 0..1000 {
        if pages() == 0 {
            return;
        }
        Domain::global().barrier();
    }
    panic!("{} pages do not come home", pages());
}

#[test]
fn pages_of_many() {
    static KERNEL: Kernel = Kernel::new();
    let mm = large(KERNEL.source(0, COUNT));
    let zero = |frag: &[u8; 4096]| frag.iter().all(|byte| *byte == 0);
    for rounds in [20, 2000] {
        beside_others(&KERNEL, || churn(&mm, rounds, zero));
        settle(|| mm.pages());
        assert_eq!(KERNEL.used(), 0);
    }
}

#[test]
fn pages_of_pages() {
    static KERNEL: Kernel = Kernel::new();
    let nested = Arc::new(Nested::new(large(KERNEL.source(5, COUNT))).expect("memory"));
    let mm = Mm::<16, 256, Small>::new_in(Domain::global(), nested.clone(), ());
    for rounds in [20, 2000] {
        beside_others(&KERNEL, || churn(&mm, rounds, |_| true));
        settle(|| mm.pages() + nested.parent().pages());
        assert_eq!(KERNEL.used(), 0);
    }
}

#[test]
fn pages_of_one() {
    static KERNEL: Kernel = Kernel::new();
    let mm = Mm::<16, 256, Theirs>::new_in(Domain::global(), KERNEL.source(1, COUNT), ());
    for rounds in [20, 2000] {
        beside_others(&KERNEL, || churn(&mm, rounds, |_| true));
        settle(|| mm.pages());
        assert_eq!(KERNEL.used(), 0);
    }
}
