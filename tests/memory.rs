//! Where a domain's memory comes from, and that it keeps none.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Mutex,
    thread,
};

use ptfrag::{Domain, OwnedDomain};

thread_local! {
    /// What this thread has asked the program's allocator for.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's, whose callers are only counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(at, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Held by a test, since another would allocate meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

/// The program's allocator may be built on a domain: neither making one nor the first section of a thread, in however
/// many, comes back to it.
#[test]
fn domains_do_without_the_programs_allocator() {
    let _alone = ALONE.lock();
    let domains: Vec<_> = (0..100).map(|_| OwnedDomain::new()).collect();
    let calls = |work: &dyn Fn()| {
        let before = CALLS.get();
        work();
        CALLS.get() - before
    };
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            calls(&|| domains.iter().for_each(|domain| drop(domain.read())))
                + calls(&|| drop(Domain::global().read()))
                + calls(&|| drop(OwnedDomain::new()))
        });
        assert_eq!(thread.join().unwrap(), 0);
    });
    assert_ne!(calls(&|| drop(Box::new(0))), 0, "it counts");
}

/// A thread keeps nothing of the domains that it has used, however many they were, once they are
/// gone and it has come to another; and a domain keeps no more records than it has had threads at a
/// time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn threads_and_domains_come_and_go() {
    // What the C library keeps is less; a record has half a kilobyte.
    const LITTLE: usize = 100 << 10;
    let _alone = ALONE.lock();
    let in_use = || {
        // SAFETY: it has no conditions.
        unsafe { libc::mallinfo2() }.uordblks
    };
    let domains = |count: usize| {
        for _ in 0..count {
            let domain = OwnedDomain::new();
            drop(domain.read());
        }
        in_use()
    };
    let few = domains(10);
    let many = domains(1000);
    assert!(many < few + LITTLE, "{few}, {many}");

    let domain = OwnedDomain::new();
    let threads = |count: usize| {
        for _ in 0..count {
            // `join` waits for the destructors of its thread-locals, too.
            thread::scope(|scope| scope.spawn(|| drop(domain.read())).join().unwrap());
        }
        in_use()
    };
    let few = threads(10);
    let many = threads(1000);
    assert!(many < few + LITTLE, "{few}, {many}");
}
