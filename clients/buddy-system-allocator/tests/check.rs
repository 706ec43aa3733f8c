//! The contract of a page source, on whole and ragged ranges of frames.

mod common;

use buddy_system_allocator::LockedFrameAllocator;
use common::{frames_left, source};
use ptfrag::{NumberedSource, PageSource, check};

#[test]
fn pages_of_many_frames() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let (pages, _) = source::<4096, 65536>(&FRAMES, 0x80000, 64 * 16);
    check::page_source(&pages, 64);
    // All blocks have been joined again.
    assert_eq!(FRAMES.lock().alloc(64 * 16), Some(0x80000));
}

#[test]
fn pages_of_one_frame() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let (pages, _) = source::<4096, 4096>(&FRAMES, 0, 100);
    check::page_source(&pages, 100);
    assert_eq!(frames_left(&FRAMES), 100);
}

#[test]
fn memory_that_begins_and_ends_inside_a_page() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let (first, count) = (0x1003, 5 * 16);
    let (pages, _) = source::<4096, 65536>(&FRAMES, first, count);
    check::page_source(&pages, 100);
    let whole: Vec<_> = std::iter::from_fn(|| pages.get().ok()).collect();
    assert_eq!(whole.len(), 4, "13 frames, four pages, three frames");
    let mut numbers: Vec<_> = whole.iter().map(|page| pages.number(*page)).collect();
    numbers.sort_unstable();
    assert_eq!((numbers, pages.count()), (vec![1, 2, 3, 4], 5));
    for page in whole {
        // SAFETY: got just now.
        unsafe { pages.put(page) };
    }
    assert_eq!(frames_left(&FRAMES), count);
}

#[test]
fn beside_frames_of_others() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let (pages, _) = source::<4096, 16384>(&FRAMES, 0x80000, 256);
    let others: Vec<_> = (0..64).filter_map(|_| FRAMES.lock().alloc(1)).collect();
    // Of every other place for a page a frame is missing.
    for frame in &others {
        if frame % 8 != 0 {
            FRAMES.lock().dealloc(*frame, 1);
        }
    }
    check::page_source(&pages, 256);
    let missing = others.iter().filter(|frame| *frame % 8 == 0).count();
    assert_eq!(frames_left(&FRAMES), 256 - missing);
}

#[test]
#[should_panic(expected = "not aligned")]
fn memory_whose_pages_would_not_be_aligned() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let descs = common::descs(2);
    let memory = common::memory(3 * 65536).map_addr(|addr| addr.saturating_add(4096));
    // SAFETY: nobody else has any of it.
    let _ = unsafe {
        ptfrag_client_buddy_system_allocator::FramePages::<4096, 65536>::new(
            &FRAMES, memory, 0, 32, descs,
        )
    };
}

#[test]
#[should_panic(expected = "has a descriptor")]
fn too_few_descriptors() {
    static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
    let (memory, descs) = (common::memory(3 * 65536), common::descs(2));
    // SAFETY: as above.
    let _ = unsafe {
        ptfrag_client_buddy_system_allocator::FramePages::<4096, 65536>::new(
            &FRAMES, memory, 0, 48, descs,
        )
    };
}
