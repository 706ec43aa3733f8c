//! The lock's contract.

use std::{sync::Barrier, thread};

use crate::{
    embed::RawLock,
    sync::{AtomicBool, AtomicU64, Ordering, UnsafeCell},
};

/// Something that only the lock's holder may touch.
struct Guarded<L> {
    lock: L,
    begin: Barrier,
    count: UnsafeCell<u64>,
    inside: AtomicU64,
    /// Whether two were inside at the same time. A panic there would leave the lock to nobody, and the others waiting.
    two: AtomicBool,
}

// SAFETY: the count is touched under the lock, if that is one.
unsafe impl<L: RawLock> Sync for Guarded<L> {}

const THREADS: u64 = 4;
const ROUNDS: u64 = 5_000;

/// Checks a [`RawLock`]: that a new one is free, that one gets in and no other, not even on the same thread, and that who
/// gets in next sees what the last one did.
///
/// # Panics
/// When it is not so.
pub fn raw_lock<L: RawLock>() {
    let lock = L::new();
    assert!(lock.try_lock(), "a new lock is not free");
    assert!(!lock.try_lock(), "try_lock lets a second one in, on the same thread");
    let try_elsewhere = || thread::scope(|scope| scope.spawn(|| lock.try_lock()).join());
    assert!(!try_elsewhere().is_ok_and(|locked| locked), "try_lock lets a second thread in");
    // SAFETY: locked above.
    unsafe { lock.unlock() };
    assert!(lock.try_lock(), "a lock is not free after unlock");
    // SAFETY: locked just now.
    unsafe { lock.unlock() };
    lock.lock();
    assert!(!lock.try_lock(), "try_lock lets a second one in after lock");
    // SAFETY: locked just now.
    unsafe { lock.unlock() };
    assert!(lock.try_lock(), "a lock is not free after unlock");
    // SAFETY: locked just now.
    unsafe { lock.unlock() };

    let guarded = Guarded {
        // One that was used may not like to be moved.
        lock: L::new(),
        begin: Barrier::new(THREADS as usize),
        count: UnsafeCell::new(0),
        inside: AtomicU64::new(0),
        two: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let guarded = &guarded;
            scope.spawn(move || work(guarded, number % 2 == 0));
        }
    });
    assert!(!guarded.two.into_inner(), "two threads hold the lock");
    // SAFETY: the threads are gone.
    let count = guarded.count.with(|count| unsafe { *count });
    assert_eq!(count, THREADS * ROUNDS, "who got the lock did not see what the last holder did");
}

fn work<L: RawLock>(guarded: &Guarded<L>, tries: bool) {
    // All are there before the first one goes in.
    guarded.begin.wait();
    for round in 0..ROUNDS {
        if tries {
            while !guarded.lock.try_lock() {
                thread::yield_now();
            }
        } else {
            guarded.lock.lock();
        }
        if guarded.inside.swap(1, Ordering::Relaxed) != 0 {
            guarded.two.store(true, Ordering::Relaxed);
        }
        if round % 64 == 0 {
            // The others come upon the holder also where there is one processor.
            thread::yield_now();
        }
        // SAFETY: nobody else is inside.
        guarded.count.with_mut(|count| unsafe { *count += 1 });
        guarded.inside.store(0, Ordering::Relaxed);
        // SAFETY: locked above.
        unsafe { guarded.lock.unlock() };
    }
}
