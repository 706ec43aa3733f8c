//! Collections in fragments take nothing from the program's heap.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use allocator_api2_04::{boxed::Box, vec::Vec};
use hashbrown::HashMap;
use ptfrag_client_allocator_api2::{Fragments, Handle, InFragments};

use self::parts::small;

#[path = "any/parts.rs"]
mod parts;

thread_local! {
    /// How often this thread has asked the heap for something.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn use_collections<F: Fragments + Copy>(fragments: F) -> u64 {
    let alloc = InFragments::new(fragments);
    let mut map = HashMap::new_in(alloc);
    let mut vec = Vec::new_in(alloc);
    for number in 0..12_u64 {
        map.insert(number as u32, number as u32);
        vec.push(Box::new_in(number, alloc));
    }
    map.retain(|_, value| *value > 5);
    vec.iter().map(|boxed| **boxed).sum::<u64>() + map.len() as u64
}

#[test]
fn nothing_from_the_heap() {
    let (mm, source) = small(4);
    let handle = Handle::new(&mm);
    // The first time a thread registers with the domain.
    assert_eq!((use_collections(&mm), use_collections(&handle)), (72, 72));
    let before = ASKED.get();
    assert!((0..1000).all(|_| use_collections(&mm) == 72 && use_collections(&handle) == 72));
    assert_eq!(ASKED.get(), before);
    assert!(before > 0);
    drop(handle);
    assert_eq!(source.pages_out(), 0);
}
