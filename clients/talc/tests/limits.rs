//! What fits and what does not, what is kept, and what goes back.

use std::alloc::Layout;

use allocator_api2::{alloc::Allocator, boxed::Box, vec::Vec};
use ptfrag::{Domain, Mm, Region, Std};
use ptfrag_client_talc::Frags;
use talc::{TalcCell, base::binning::Binning};

const SIZE: usize = 65536;
const PAGE: usize = 4 * SIZE;

type Pages = Mm<4, SIZE, Std<'static, PAGE>>;

fn frags(mm: &Pages) -> Frags<'_, 4, SIZE, Std<'static, PAGE>> {
    // SAFETY: each goes into one talc, which nobody gives heaps by hand, and nothing of it is used when that is gone.
    unsafe { Frags::new(mm) }
}

fn mm(pages: usize) -> (Pages, Region<PAGE>) {
    let region = Region::new(pages).expect("address space");
    (Mm::new(Domain::global(), region.clone()), region)
}

/// Whether such a block is to be had; it is written and freed.
fn has(talc: &impl Allocator, layout: Layout) -> bool {
    let Ok(block) = talc.allocate(layout) else { return false };
    assert!(block.addr().get() % layout.align() == 0, "a block is not aligned");
    // SAFETY: the block is ours.
    unsafe { block.cast::<u8>().write_bytes(0x5a, layout.size()) };
    // SAFETY: allocated just now.
    unsafe { talc.deallocate(block.cast(), layout) };
    true
}

#[test]
fn all_that_is_promised_fits_and_the_rest_takes_no_fragment() {
    let (mm, _region) = mm(2);
    let talc = TalcCell::new(frags(&mm));
    for align in (0..17).map(|shift| 1 << shift) {
        for size in (SIZE - 300..SIZE + 64).chain((1..1024).map(|nth| nth * 64 - 1)) {
            let layout = Layout::from_size_align(size, align).expect("sizes are small");
            let promised = size + 64 + align.max(32) <= SIZE;
            let fits = has(&talc, layout);
            assert!(fits || !promised, "{layout:?} does not fit");
            // The first one and one to spare: what is refused has not taken any, though talc asks as long as it gets some.
            assert!(mm.pages() <= 1, "{layout:?} took {} pages", mm.pages());
        }
    }
    assert!(!has(&talc, Layout::from_size_align(isize::MAX as usize, 1).expect("the largest")));
}

#[test]
fn a_block_that_does_not_fit_beside_the_lists_gets_the_second_fragment() {
    let (mm, _region) = mm(1);
    let talc = TalcCell::new(frags(&mm));
    assert!(has(&talc, Layout::from_size_align(SIZE - 96, 1).expect("it is small")));
}

/// So few lists that the last one begins at the size of a fragment.
struct Few;

impl Binning for Few {
    type AvailabilityBitField = u32;
    const BIN_COUNT: u32 = 12;

    fn size_to_bin(size: usize) -> u32 {
        (size / 32).checked_ilog2().unwrap_or(u32::MAX)
    }
}

#[test]
fn lists_that_hide_a_heap_are_not_waited_for() {
    assert_eq!(Few::size_to_bin(SIZE), Few::BIN_COUNT - 1);
    let (mm, _region) = mm(4);
    let talc = talc::cell::TalcCell::<_, Few>::new(frags(&mm));
    assert!(has(&talc, Layout::new::<[u8; 1000]>()));
    // talc would look for it in the last list, and the heap is in the one before.
    assert!(!has(&talc, Layout::new::<[u8; SIZE / 2 + 1000]>()));
    assert_eq!(mm.pages(), 1);
}

#[test]
fn fragments_that_have_no_room_for_the_lists() {
    const SMALL: usize = 1024;
    let mm = Mm::<16, SMALL, _>::new(
        Domain::global(),
        Region::<{ 16 * SMALL }>::new(4).expect("address space"),
    );
    // SAFETY: it goes into one talc, which nobody gives heaps by hand.
    let talc = TalcCell::new(unsafe { Frags::new(&mm) });
    for _ in 0..100 {
        assert!(!has(&talc, Layout::new::<u64>()));
        assert_eq!(mm.pages(), 1, "what could not be used was not kept for the next time");
    }
    drop(talc);
    assert_eq!(mm.pages(), 0);
}

#[test]
fn all_goes_back_with_the_talc_also_what_is_in_use() {
    let (mm, region) = mm(8);
    let mut talc = TalcCell::new(frags(&mm));
    for _ in 0..20 {
        let block = talc.allocate(Layout::new::<[u8; 40_000]>()).expect("there is room");
        // SAFETY: the block is ours. A fragment is to come back cleared.
        unsafe { block.cast::<u8>().write_bytes(0xff, 40_000) };
    }
    assert_eq!(region.pages_out(), 5, "a fragment each");
    talc.get_mut().source.trim();
    drop(talc);
    assert_eq!(region.pages_out(), 0);
    // These pages are those that talc had.
    let frags: std::vec::Vec<_> =
        (0..20).map(|_| mm.alloc()).collect::<Result<_, _>>().expect("all are home");
    let zero = frags.iter().all(|frag| frag.iter().all(|byte| *byte == 0));
    assert!(zero, "a fragment came back with what talc's users have left");
}

#[test]
fn a_talc_that_has_run_out_goes_on_when_something_was_freed() {
    let (mm, _region) = mm(1);
    let talc = TalcCell::new(frags(&mm));
    let layout = Layout::new::<[u8; SIZE - 4096]>();
    let blocks: std::vec::Vec<_> = std::iter::from_fn(|| talc.allocate(layout).ok()).collect();
    assert_eq!(blocks.len(), 4, "the fragments of a page");
    for round in 0..100 {
        // SAFETY: allocated above or in the last round.
        unsafe { talc.deallocate(blocks[round % 4].cast(), layout) };
        assert_eq!(talc.allocate(layout).map(|block| block.addr()), Ok(blocks[round % 4].addr()));
        assert!(talc.allocate(layout).is_err());
    }
}

#[test]
fn one_to_spare_and_no_more() {
    let (mm, _region) = mm(8);
    let mut talc = TalcCell::new(frags(&mm));
    let layout = Layout::new::<[u8; SIZE - 4096]>();
    let blocks: std::vec::Vec<_> =
        (0..21).map(|_| talc.allocate(layout).expect("there is room")).collect();
    assert_eq!(mm.pages(), 6);
    for block in blocks {
        // SAFETY: allocated above.
        unsafe { talc.deallocate(block.cast(), layout) };
    }
    assert!(mm.pages() <= 2);
    talc.get_mut().source.trim();
    assert_eq!(mm.pages(), 1, "where talc's lists are");
    assert!(has(&talc, layout));
}

#[test]
fn collections() {
    let (mm, region) = mm(8);
    let talc = TalcCell::new(frags(&mm));
    let mut boxes = Vec::new_in(&talc);
    for nth in 0..2000_usize {
        boxes.push(Box::new_in([nth; 9], &talc));
    }
    assert!(boxes.iter().enumerate().all(|(nth, content)| **content == [nth; 9]));
    assert!(boxes.try_reserve(SIZE).is_err(), "a vector that is larger than a fragment");
    boxes.retain(|content| content[0] % 100 == 0);
    boxes.shrink_to_fit();
    assert_eq!(boxes.len(), 20);
    drop(boxes);
    drop(talc);
    assert_eq!(region.pages_out(), 0);
}
