//! What the trait asks of an allocator, with each kind of owner.

use std::{alloc::Layout, rc::Rc, sync::Arc};

use ptfrag_client_allocator_api2::{Handle, InFragments};

use super::{
    block::{Block, layout},
    parts::{Small, mm, small},
};
use crate::api::alloc::Allocator;

const SIZE: usize = InFragments::<Small>::SIZE;

/// Runs a test with so many pages on an allocator of each kind, and sees that all of them come home.
pub fn on_each(pages: usize, test: impl Fn(&dyn Allocator)) {
    let (mm, source) = small(pages);
    test(&InFragments::new(&mm));
    assert_eq!(source.pages_out(), 0);
    let handle = Handle::new(&mm);
    test(&InFragments::new(&handle));
    handle.flush();
    assert_eq!(source.pages_out(), 0);
    test(&InFragments::new(Rc::new(handle)));
    assert_eq!(source.pages_out(), 0);
    let mm = Arc::new(mm);
    test(&InFragments::new(Arc::clone(&mm)));
    assert_eq!(source.pages_out(), 0);
    test(&InFragments::new(Arc::into_inner(mm).expect("the only one")));
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn layouts_up_to_a_fragment_are_served_and_no_others() {
    on_each(1, |alloc| {
        for align in (0..=10).map(|shift| 1 << shift) {
            for size in (0..=SIZE + 8).chain([4096, 1 << 20]) {
                let served = Block::new(alloc, layout(size, align)).map(|mut block| {
                    block.bytes().fill(0xFF);
                    block.bytes().len()
                });
                let expected = match size {
                    0 => Some(0),
                    1..=SIZE if align <= SIZE => Some(SIZE),
                    _ => None,
                };
                assert_eq!(served, expected, "{size} bytes aligned to {align}");
            }
        }
        let largest = layout(isize::MAX as usize, 1);
        assert!(Block::new(alloc, largest).is_none() && Block::zeroed(alloc, largest).is_none());
    });
}

#[test]
fn blocks_are_disjoint_and_free_at_once() {
    on_each(2, |alloc| {
        let any = Layout::new::<u64>();
        let mut blocks: Vec<_> = (0..32).map_while(|_| Block::new(alloc, any)).collect();
        assert_eq!(blocks.len(), 32);
        for (number, block) in (0..).zip(&mut blocks) {
            block.bytes().fill(number);
        }
        for (number, block) in (0..).zip(&mut blocks) {
            assert!(block.bytes().iter().all(|byte| *byte == number));
        }
        for at in [31, 0, 15, 16, 3] {
            assert!(Block::new(alloc, any).is_none());
            assert!(Block::new(alloc, layout(0, 1)).is_some());
            let freed = blocks.swap_remove(at).address();
            let again = Block::new(alloc, any).expect("what is free at once");
            assert_eq!(again.address(), freed);
            blocks.push(again);
        }
    });
}

#[test]
fn blocks_grow_and_shrink_in_place() {
    on_each(1, |alloc| {
        // With all fragments taken nothing else is possible.
        let blocks = (0..16).map(|number: u8| {
            let mut block = Block::new(alloc, layout(8, 8)).expect("one of 16");
            block.bytes()[..8].fill(number);
            block
        });
        for (number, mut block) in (0..).zip(blocks.collect::<Vec<_>>()) {
            let address = block.address();
            for (size, align) in
                [(8, 16), (9, 1), (200, 8), (SIZE, SIZE), (17, 32), (8, 1), (8, SIZE)]
            {
                assert!(block.resize(layout(size, align)), "{block:?} to {size}");
                assert_eq!(block.bytes()[..8], [number; 8]);
            }
            for (size, align) in [(SIZE + 1, 1), (8, 2 * SIZE), (1, 2 * SIZE)] {
                assert!(!block.resize(layout(size, align)), "{block:?} to {size}");
            }
            assert!(!block.grow_zeroed(layout(SIZE + 1, 1)));
            assert_eq!(block.layout(), layout(8, SIZE));
            assert_eq!((block.address(), &block.bytes()[..8]), (address, &[number; 8][..]));
        }
    });
}

#[test]
fn blocks_come_from_nothing_and_go_to_nothing() {
    on_each(1, |alloc| {
        let mut blocks: Vec<_> =
            (0..17).map(|_| Block::new(alloc, layout(0, 4)).expect("nothing")).collect();
        assert!(blocks.iter_mut().all(|block| block.resize(layout(0, 2 * SIZE))));
        assert!(blocks[..16].iter_mut().all(|block| block.resize(layout(100, 4))));
        // The 17th has no fragment to come from, until the first one goes.
        assert!(!blocks[16].resize(layout(1, 1)) && !blocks[16].grow_zeroed(layout(1, 1)));
        assert!(blocks[0].resize(layout(0, 4 * SIZE)));
        assert!(blocks[16].grow_zeroed(layout(50, 1)));
        assert!(blocks[16].bytes()[..50].iter().all(|byte| *byte == 0));
        assert!(!blocks[0].resize(layout(1, 1)));
    });
}

#[test]
fn zeroed_blocks_are_zero() {
    let (mm, source) = small(1);
    for _ in 0..16 {
        mm.alloc().expect("the page stays for this").fill(0xAA);
    }
    let kept = mm.alloc().expect("one of 16");
    let mut dirty: Vec<_> = (0..15).map(|_| mm.alloc().expect("one of 16")).collect();
    dirty.iter_mut().for_each(|frag| frag.fill(0xAA));
    drop(dirty);
    let alloc = InFragments::new(&mm);
    let mut block = Block::zeroed(&alloc, layout(40, 8)).expect("one of 15");
    assert!(block.bytes().iter().all(|byte| *byte == 0));
    let mut plain = Block::new(&alloc, layout(40, 8)).expect("one of 14");
    assert!(plain.bytes()[100..].iter().all(|byte| *byte == 0xAA), "what the last user left");
    plain.bytes().fill(0xBB);
    // This takes another fragment, as it is the trait's own.
    assert!(plain.grow_zeroed(layout(200, 8)));
    assert!(plain.bytes()[..40].iter().all(|byte| *byte == 0xBB));
    assert!(plain.bytes()[40..].iter().all(|byte| *byte == 0));
    drop((block, plain, kept));
    assert_eq!(source.pages_out(), 0);
}

/// Other users of the mm may read what lies in a fragment, so it must be bytes when it gets there.
#[test]
fn fragments_are_cleared_on_their_way_back() {
    let (mm, source) = small(1);
    let handle = Handle::new(&mm);
    let through: [&dyn Allocator; 2] = [&InFragments::new(&mm), &InFragments::new(&handle)];
    for alloc in through {
        let kept = mm.alloc().expect("one of 16");
        let mut blocks: Vec<_> =
            (0..15).map_while(|_| Block::new(alloc, layout(SIZE, 1))).collect();
        for block in &mut blocks {
            block.bytes().fill(0xAA);
            assert!(block.resize(layout(1, 1)));
        }
        assert_eq!(blocks.len(), 15);
        drop(blocks);
        handle.flush();
        let frags: Vec<_> = (0..15).map_while(|_| mm.alloc().ok()).collect();
        assert_eq!(frags.len(), 15);
        assert!(frags.iter().all(|frag| frag.iter().all(|byte| *byte == 0)));
        drop((frags, kept));
        assert_eq!(source.pages_out(), 0);
    }
}

#[test]
fn clones_are_the_same_allocator() {
    let (mm, source) = small(1);
    let mm = Arc::new(mm);
    let first = InFragments::new(Arc::clone(&mm));
    let second = first.clone();
    let blocks: Vec<_> = (0..16).map_while(|_| first.allocate(layout(8, 8)).ok()).collect();
    assert_eq!(blocks.len(), 16);
    drop((first, mm));
    let moved = Box::new(second);
    for block in blocks {
        // SAFETY: a clone's block, for this layout.
        let grown =
            unsafe { moved.grow(block.cast(), layout(8, 8), layout(64, 8)) }.expect("in place");
        // SAFETY: the same block.
        unsafe { moved.deallocate(grown.cast(), layout(64, 8)) };
    }
    assert_eq!(source.pages_out(), 0);
    assert!(Block::new(&*moved, layout(8, 8)).is_some());
}

#[test]
fn other_geometries() {
    fn largest<const FRAGS: usize, const SIZE: usize>() {
        let (mm, source) = mm::<FRAGS, SIZE>(1);
        let alloc = InFragments::new(&mm);
        let blocks: Vec<_> =
            (0..FRAGS).map_while(|_| Block::new(&alloc, layout(SIZE, SIZE))).collect();
        assert_eq!(blocks.len(), FRAGS);
        drop(blocks);
        assert!(Block::new(&alloc, layout(SIZE + 1, 1)).is_none());
        assert!(Block::new(&alloc, layout(1, 2 * SIZE)).is_none());
        assert_eq!(source.pages_out(), 0);
    }
    largest::<2, 2048>();
    largest::<4, 1024>();
    largest::<8, 512>();
    largest::<16, 256>();
}
