//! Mms on the frames that others use, too, with many threads and a hundred times as much of everything.

mod common;

use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use buddy_system_allocator::LockedFrameAllocator;
use common::{frames_left, source};
use ptfrag::{Domain, Embed, Frag, Mm, Nested, SpinLock, Zeroed};
use ptfrag_client_buddy_system_allocator::FramePages;

const PAGES: usize = 64;
const PAGE: usize = 65536;
/// Frames of somebody else, at most.
const OTHERS: usize = 64;

type Pages = FramePages<4096, PAGE>;

/// Large pages from frames, with fragments that are zero.
struct Large;
impl Embed for Large {
    type Rcu = &'static Domain;
    type Source = Pages;
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

fn large(pages: Pages) -> Mm<16, 4096, Large> {
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
            assert!(
                frag.iter().all(|byte| *byte == mark),
                "somebody else has written to a fragment"
            );
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

/// The frames of a test.
#[derive(Clone, Copy)]
struct Ground {
    frames: &'static LockedFrameAllocator,
    first: usize,
    /// Where the first one is.
    memory: NonNull<u8>,
}

// SAFETY: a frame is whoever allocated it.
unsafe impl Sync for Ground {}

impl Ground {
    fn block(&self, (frame, count, _): (usize, usize, u8)) -> NonNull<[u8]> {
        // SAFETY: the frame is one of them.
        let at = unsafe { self.memory.add((frame - self.first) * 4096) };
        NonNull::slice_from_raw_parts(at, count * 4096)
    }

    /// Has frames of its own until it is told to stop.
    fn others(&self, stop: &AtomicBool) {
        let mut blocks = Vec::new();
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            let count = 1 << fastrand::u32(0..4);
            let have: usize = blocks.iter().map(|(_, count, _)| count).sum();
            if !stopped && have + count <= OTHERS {
                let Some(frame) = self.frames.lock().alloc(count) else { continue };
                let block = (frame, count, fastrand::u8(..));
                let bytes = self.block(block);
                // SAFETY: the frames are ours.
                unsafe { bytes.cast::<u8>().write_bytes(block.2, bytes.len()) };
                blocks.push(block);
            } else if !blocks.is_empty() {
                let block = blocks.swap_remove(fastrand::usize(..blocks.len()));
                // SAFETY: as above, and they have been written.
                let kept =
                    unsafe { self.block(block).as_ref() }.iter().all(|byte| *byte == block.2);
                assert!(kept, "somebody else has written to a frame");
                self.frames.lock().dealloc(block.0, block.1);
            } else {
                return;
            }
        }
    }
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

/// Has four threads do some work on the frames, and somebody else have some of them, too.
fn beside_others(ground: Ground, work: impl Fn() + Sync) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| ground.others(&stop));
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(&work)).collect();
        let done = workers.into_iter().try_for_each(thread::ScopedJoinHandle::join);
        stop.store(true, Ordering::Relaxed);
        assert!(done.is_ok(), "see above");
    });
}

#[test]
fn pages_of_frames() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let first = 0x80000;
    let (pages, memory) = source::<4096, PAGE>(&FRAMES, first, PAGES * 16);
    let ground = Ground { frames: &FRAMES, first, memory };
    let mm = large(pages);
    let zero = |frag: &[u8; 4096]| frag.iter().all(|byte| *byte == 0);
    for rounds in [20, 2000] {
        beside_others(ground, || churn(&mm, rounds, zero));
        settle(|| mm.pages());
    }
    drop(mm);
    assert_eq!(FRAMES.lock().alloc(PAGES * 16), Some(first), "blocks have not been joined again");
}

#[test]
fn pages_of_pages_of_frames() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let first = 0x7e;
    let (pages, memory) = source::<4096, PAGE>(&FRAMES, first, PAGES * 16);
    let ground = Ground { frames: &FRAMES, first, memory };
    let nested = Arc::new(Nested::new(large(pages)).expect("memory for descriptors"));
    let mm = Mm::<16, 256, Small>::new_in(Domain::global(), nested.clone(), ());
    for rounds in [20, 2000] {
        beside_others(ground, || churn(&mm, rounds, |_| true));
        settle(|| mm.pages() + nested.parent().pages());
    }
    drop((mm, nested));
    assert_eq!(frames_left(&FRAMES), PAGES * 16);
}
