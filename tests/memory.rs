//! What the crate keeps of the global allocator's memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use ptfrag::{Domain, OwnedDomain};

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
/// gone and it has come to another; and a domain keeps no more records than it has had threads at a
/// time. (One test, since others would allocate meanwhile.)
#[test]
fn threads_and_domains_come_and_go() {
    let domains = |count: usize| {
        for _ in 0..count {
            let domain = OwnedDomain::new();
            drop(domain.read());
        }
        BYTES.load(Ordering::Relaxed)
    };
    let few = domains(10);
    assert_eq!(domains(100), few);

    let domain: &Domain = Box::leak(Box::new(OwnedDomain::new()));
    let threads = |count: usize| {
        for _ in 0..count {
            // `join` waits for the destructors of its thread-locals, too.
            thread::spawn(|| drop(domain.read())).join().unwrap();
        }
        BYTES.load(Ordering::Relaxed)
    };
    let few = threads(10);
    assert_eq!(threads(100), few);
}
