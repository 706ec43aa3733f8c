//! Heaps of many threads on the same pages, one heap of many threads, and a hundred times as much of everything.

use std::{alloc::Layout, ptr::NonNull, sync::Mutex, thread};

use ptfrag::{Domain, Region, Std};
use ptfrag_client_slabmalloc::{LARGE, LargePages, SMALL, Slabs, SmallPages};

type Small = Std<'static, { 16 * SMALL }>;
type Large = Std<'static, { 2 * LARGE }>;

const THREADS: usize = 4;
/// Objects that a thread has at a time.
const OBJECTS: usize = 64;

struct Pages {
    small: SmallPages<Small>,
    large: LargePages<Large>,
}

impl Pages {
    fn new(small: usize, large: usize) -> Self {
        let domain = Domain::global();
        Self {
            small: SmallPages::new(domain, Region::new(small).expect("address space")),
            large: LargePages::new(domain, Region::new(large).expect("address space")),
        }
    }

    fn heap(&self) -> Slabs<'_, Small, Large> {
        Slabs::new(&self.small, &self.large)
    }

    fn out(&self) -> usize {
        self.small.pages() + self.large.pages()
    }
}

/// An object, all of its bytes a mark.
struct Object {
    at: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

// SAFETY: an object is its owner's.
unsafe impl Send for Object {}

impl Object {
    fn new(heap: &mut Slabs<'_, Small, Large>, layout: Layout) -> Self {
        let at = heap.allocate(layout).expect("there is room");
        assert!(at.addr().get() % layout.align() == 0, "an object is not aligned");
        let mark = fastrand::u8(..);
        // SAFETY: the object is ours.
        unsafe { at.write_bytes(mark, layout.size()) };
        Self { at, layout, mark }
    }

    fn free(self, heap: &mut Slabs<'_, Small, Large>) {
        let bytes = NonNull::slice_from_raw_parts(self.at, self.layout.size());
        // SAFETY: written when it was allocated, and ours.
        let kept = unsafe { bytes.as_ref() }.iter().all(|byte| *byte == self.mark);
        assert!(kept, "somebody else has written to an object");
        // SAFETY: allocated there with this layout.
        unsafe { heap.deallocate(self.at, self.layout) };
    }
}

/// Mostly small ones, some large.
fn some_layout() -> Layout {
    let most = if fastrand::u8(..16) == 0 { 13 } else { 8 };
    let size = fastrand::usize(1..=1 << fastrand::u32(0..=most));
    Layout::from_size_align(size, 1 << fastrand::u32(0..7)).expect("sizes are small")
}

/// A step that a thread makes with a heap: some objects come, some go.
fn step(heap: &mut Slabs<'_, Small, Large>, objects: &mut Vec<Object>) {
    while objects.len() < OBJECTS {
        objects.push(Object::new(heap, some_layout()));
    }
    for _ in 0..OBJECTS / 2 {
        objects.swap_remove(fastrand::usize(..objects.len())).free(heap);
    }
}

#[test]
fn a_heap_for_each_thread() {
    // Of each of the six small sizes a heap has as many pages as it has ever had objects at a time, and those that slabmalloc
    // takes for full until it has handed out 64 more objects, of which 15 at least are on a page. Of the five large ones it has
    // one page.
    let small = THREADS * 6 * (OBJECTS + 64_usize.div_ceil(15));
    let pages = Pages::new(small.div_ceil(16), (THREADS * 5).div_ceil(2));
    for rounds in [50, 5000] {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut heap = pages.heap();
                    let mut objects = Vec::new();
                    for round in 0..rounds {
                        step(&mut heap, &mut objects);
                        if round % 16 == 0 {
                            heap.reclaim();
                        }
                    }
                    objects.into_iter().for_each(|object| object.free(&mut heap));
                });
            }
        });
        assert_eq!(pages.out(), 0, "heaps that are gone have left pages behind");
    }
}

#[test]
fn one_heap_under_a_lock() {
    // A page for each object: those that have none are reclaimed before an allocation fails.
    let pages = Pages::new((2 * OBJECTS + THREADS + 1).div_ceil(16), 5);
    let heap = Mutex::new(pages.heap());
    for rounds in [50, 5000] {
        let passed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut objects = Vec::new();
                    for round in 0..rounds {
                        let mut heap = heap.lock().expect("nobody panics with it");
                        step(&mut heap, &mut objects);
                        if round % 16 == 0 {
                            heap.reclaim();
                        }
                        // Others free what this one has allocated.
                        let mut passed = passed.lock().expect("nobody panics with it");
                        passed.append(&mut objects);
                        objects.extend(passed.pop());
                        while passed.len() > OBJECTS {
                            passed.swap_remove(0).free(&mut heap);
                        }
                    }
                    let mut heap = heap.lock().expect("nobody panics with it");
                    objects.into_iter().for_each(|object| object.free(&mut heap));
                });
            }
        });
        let mut heap = heap.lock().expect("nobody panics with it");
        let passed = passed.into_inner().expect("nobody panics with it");
        passed.into_iter().for_each(|object| object.free(&mut heap));
        heap.reclaim();
        assert_eq!(pages.out(), 0);
    }
}
