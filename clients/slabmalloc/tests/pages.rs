//! Which pages a heap takes, and when they go back.

use std::{alloc::Layout, ptr::NonNull};

use ptfrag::{Domain, Region, Std};
use ptfrag_client_slabmalloc::{LARGE, LargePages, SMALL, Slabs, SmallPages};
use slabmalloc::AllocationError;

type Small = Std<'static, { 16 * SMALL }>;
type Large = Std<'static, { 2 * LARGE }>;
type Heap<'m> = Slabs<'m, Small, Large>;

fn pages(small: usize, large: usize) -> (SmallPages<Small>, LargePages<Large>) {
    let domain = Domain::global();
    let small = SmallPages::new(domain, Region::new(small).expect("address space"));
    (small, LargePages::new(domain, Region::new(large).expect("address space")))
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("sizes are small")
}

/// As many objects as there is room for.
fn fill(heap: &mut Heap<'_>, layout: Layout) -> Vec<NonNull<u8>> {
    std::iter::from_fn(|| heap.allocate(layout).ok())
        // SAFETY: the object is ours.
        .inspect(|object| unsafe { object.write_bytes(0xff, layout.size()) })
        .collect()
}

fn free(heap: &mut Heap<'_>, objects: Vec<NonNull<u8>>, layout: Layout) {
    for object in objects {
        // SAFETY: allocated there with this layout.
        unsafe { heap.deallocate(object, layout) };
    }
}

#[test]
fn sixteen_slabs_share_a_page_and_go_back() {
    let (small, large) = pages(3, 1);
    let mut heap = Slabs::new(&small, &large);
    for round in 0..100 {
        let objects = fill(&mut heap, layout(256, 8));
        assert_eq!(objects.len(), 3 * 16 * 15, "15 to a slab");
        assert_eq!(small.pages(), 3);
        free(&mut heap, objects, layout(256, 8));
        if round % 2 == 0 {
            assert_eq!(heap.reclaim(), 3 * 16);
            assert_eq!(small.pages(), 0);
        }
    }
}

#[test]
fn two_large_slabs_share_a_page() {
    let (small, large) = pages(1, 2);
    let mut heap = Slabs::new(&small, &large);
    let objects = fill(&mut heap, layout(128 << 10, 1));
    assert_eq!(objects.len(), 4 * 15);
    assert_eq!(large.pages(), 2);
    free(&mut heap, objects, layout(128 << 10, 1));
    assert_eq!(heap.reclaim(), 4);
    assert_eq!(large.pages() + small.pages(), 0);
}

#[test]
fn what_one_size_has_left_another_gets() {
    let (small, large) = pages(1, 1);
    let mut heap = Slabs::new(&small, &large);
    for size in [8, 16, 32, 64, 128, 256, 512, 1024, 4096, 65536].repeat(10) {
        let objects = fill(&mut heap, layout(size, size));
        let (count, bytes) = if size <= 256 { (16, SMALL) } else { (2, LARGE) };
        assert_eq!(objects.len(), count * ((bytes - 80) / size).min(512));
        free(&mut heap, objects, layout(size, size));
    }
}

#[test]
fn objects_are_aligned_and_do_not_waste_pages_for_it() {
    let (small, large) = pages(4, 4);
    let mut heap = Slabs::new(&small, &large);
    for align in (0..18).map(|shift| 1 << shift) {
        for size in [0, 1, align / 2 + 1, align, 100] {
            let layout = layout(size, align);
            let objects: Vec<_> = (0..14).map(|_| heap.allocate(layout).expect("room")).collect();
            let aligned = objects.iter().all(|object| object.addr().get() % align == 0);
            assert!(aligned, "{layout:?}");
            free(&mut heap, objects, layout);
            assert!(heap.reclaim() <= 1, "14 objects of {layout:?} lay in more than a page");
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let (small, large) = pages(1, 1);
    let mut heap = Slabs::new(&small, &large);
    for layout in [layout((128 << 10) + 1, 1), layout(1, 256 << 10), layout(0, 1 << 63)] {
        let refused = heap.allocate(layout);
        assert!(matches!(refused, Err(AllocationError::InvalidLayout)), "{layout:?}");
    }
    let full = fill(&mut heap, layout(64, 8));
    let refused = heap.allocate(layout(64, 8));
    assert!(matches!(refused, Err(AllocationError::OutOfMemory)));
    free(&mut heap, full, layout(64, 8));
}

#[test]
fn pages_come_back_cleared() {
    let (small, large) = pages(1, 1);
    let mut heap = Slabs::new(&small, &large);
    let objects = fill(&mut heap, layout(128, 1));
    free(&mut heap, objects, layout(128, 1));
    let objects = fill(&mut heap, layout(4096, 1));
    free(&mut heap, objects, layout(4096, 1));
    drop(heap);
    assert_eq!(small.pages() + large.pages(), 0);
    let small: Vec<_> = (0..16).map(|_| small.alloc().expect("home")).collect();
    assert!(small.iter().all(|frag| frag.iter().all(|byte| *byte == 0)));
    let large: Vec<_> = (0..2).map(|_| large.alloc().expect("home")).collect();
    assert!(large.iter().all(|frag| frag.iter().all(|byte| *byte == 0)));
}

#[test]
fn a_full_heap_finds_the_object_that_was_freed() {
    let (small, large) = pages(1, 1);
    let mut heap = Slabs::new(&small, &large);
    let mut objects = fill(&mut heap, layout(256, 8));
    for round in 0..500 {
        let object = objects.swap_remove(round * 7 % objects.len());
        free(&mut heap, vec![object], layout(256, 8));
        assert_eq!(heap.allocate(layout(256, 8)).ok(), Some(object));
        assert!(heap.allocate(layout(256, 8)).is_err());
        objects.push(object);
    }
    free(&mut heap, objects, layout(256, 8));
}

#[test]
fn a_page_with_an_object_outlives_the_heap() {
    let (small, large) = pages(1, 1);
    let mut heap = Slabs::new(&small, &large);
    let object = heap.allocate(layout(64, 64)).expect("room");
    // SAFETY: the object is ours.
    unsafe { object.write_bytes(7, 64) };
    drop(heap);
    assert_eq!(small.pages(), 1);
    // SAFETY: it still is.
    let bytes = unsafe { NonNull::slice_from_raw_parts(object, 64).as_ref() };
    assert_eq!(bytes, [7; 64]);
}
