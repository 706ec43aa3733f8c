//! What the crate keeps of the global allocator's memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use ptfrag::OwnedDomain;

/// Bytes that are out.
static BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's, which is only watched.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(at, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A thread keeps nothing of the domains that it has used, however many they were, once they are
/// gone and it has come to another.
#[test]
fn threads_forget_dropped_domains() {
    let bytes = |domains: usize| {
        for _ in 0..domains {
            let domain = OwnedDomain::new();
            drop(domain.read());
        }
        BYTES.load(Ordering::Relaxed)
    };
    let few = bytes(10);
    assert_eq!(bytes(100), few);
}
