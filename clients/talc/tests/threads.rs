//! Many threads, and a hundred times as much of everything: what is given out is nobody else's, and fragments go back.

use std::{alloc::Layout, ptr::NonNull, sync::Mutex, thread};

use allocator_api2::alloc::Allocator;
use parking_lot::RawMutex;
use ptfrag::{Domain, Mm, Region, Std};
use ptfrag_client_talc::Frags;
use talc::{TalcCell, TalcLock};

const SIZE: usize = 65536;
const PAGE: usize = 16 * SIZE;
/// Blocks that a thread has at a time.
const BLOCKS: usize = 24;
const THREADS: usize = 4;

type Pages = Mm<16, SIZE, Std<'static, PAGE>>;

/// A region with just as many pages as hold so many fragments: with one that does not come back an allocation fails.
fn room_for(frags: usize) -> (Pages, Region<PAGE>) {
    let region = Region::new(frags.div_ceil(16)).expect("address space");
    (Mm::new(Domain::global(), region.clone()), region)
}

/// An allocated block, all of its bytes a mark.
struct Block {
    at: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

// SAFETY: a block is its owner's.
unsafe impl Send for Block {}

impl Block {
    fn new(talc: &impl Allocator, size: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(size, align).expect("sizes are small");
        let at: NonNull<u8> = talc.allocate(layout).expect("there is room").cast();
        assert!(at.addr().get() % align == 0, "a block is not aligned");
        let mark = fastrand::u8(..);
        // SAFETY: the block is ours.
        unsafe { at.write_bytes(mark, size) };
        Self { at, layout, mark }
    }

    fn free(self, talc: &impl Allocator) {
        let bytes = NonNull::slice_from_raw_parts(self.at, self.layout.size());
        // SAFETY: written when it was allocated, and ours.
        let kept = unsafe { bytes.as_ref() }.iter().all(|byte| *byte == self.mark);
        assert!(kept, "somebody else has written to a block");
        // SAFETY: allocated there with this layout.
        unsafe { talc.deallocate(self.at, self.layout) };
    }
}

/// Allocates and frees blocks of all sizes, and passes some on to whoever comes next.
fn churn(talc: &impl Allocator, rounds: usize, passed: &Mutex<Vec<Block>>) {
    let mut blocks = Vec::new();
    for _ in 0..rounds {
        while blocks.len() < BLOCKS {
            let size = 1 << fastrand::u32(0..16);
            let size = fastrand::usize(size..2 * size).min(SIZE - 8192 - 96);
            blocks.push(Block::new(talc, size, 1 << fastrand::u32(0..13)));
        }
        for _ in 0..BLOCKS / 2 {
            blocks.swap_remove(fastrand::usize(..blocks.len())).free(talc);
        }
        // Not more than there is room for.
        let mut passed = passed.lock().expect("nobody panics with it");
        if passed.len() < THREADS {
            passed.extend(blocks.pop());
        } else {
            let block = passed.swap_remove(0);
            drop(passed);
            block.free(talc);
        }
    }
    blocks.into_iter().for_each(|block| block.free(talc));
}

#[test]
fn threads_share_a_talc() {
    // Each fragment but the first and the one to spare has a block.
    let (mm, region) = room_for(THREADS * BLOCKS + THREADS + 2);
    let talc = TalcLock::<RawMutex, _>::new(unsafe_frags(&mm));
    for rounds in [50, 5000] {
        let passed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| churn(&talc, rounds, &passed));
            }
        });
        let passed = passed.into_inner().expect("nobody panics with it");
        passed.into_iter().for_each(|block| block.free(&talc));
        // The first and the one to spare.
        assert!((1..=2).contains(&mm.pages()), "{} pages for two fragments", mm.pages());
    }
    talc.lock().source.trim();
    assert_eq!(mm.pages(), 1, "the first heap is all that is left");
    drop(talc);
    assert_eq!(region.pages_out(), 0);
}

#[test]
fn a_talc_for_each_thread() {
    let (mm, region) = room_for(THREADS * (BLOCKS + 1 + 2) + 16 * THREADS);
    for rounds in [50, 5000] {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let talc = TalcCell::new(unsafe_frags(&mm));
                    let passed = Mutex::new(Vec::new());
                    churn(&talc, rounds, &passed);
                    let passed = passed.into_inner().expect("nobody panics with it");
                    passed.into_iter().for_each(|block| block.free(&talc));
                });
            }
        });
        assert_eq!(region.pages_out(), 0);
    }
}

fn unsafe_frags(mm: &Pages) -> Frags<'_, 16, SIZE, Std<'static, PAGE>> {
    // SAFETY: each goes into one talc, which nobody gives heaps by hand, and whose blocks are freed before it goes.
    unsafe { Frags::new(mm) }
}
