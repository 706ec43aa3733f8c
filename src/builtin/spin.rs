//! The built-in lock.

use core::fmt;

use crate::{
    embed::RawLock,
    sync::{AtomicBool, Backoff, Ordering},
};

/// The built-in lock: one byte, spins, and with `std` gives the processor away past a few rounds.
///
/// The list operations under it are a handful of stores, so waiting rarely outlives the spinning. It is
/// not fair and knows no priorities: under a real-time scheduler a waiter of higher priority on the
/// processor of a holder that was preempted spins for ever. Where that can be, bring a lock with
/// priority inheritance, or one that keeps preemption off.
pub struct SpinLock {
    held: AtomicBool,
}

impl fmt::Debug for SpinLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.held.load(Ordering::Relaxed) {
            "SpinLock(held)"
        } else {
            "SpinLock(free)"
        })
    }
}

// SAFETY: the compare-exchange lets one thread in, Acquire pairs with unlock's Release, and that
// one store is all of unlock.
unsafe impl RawLock for SpinLock {
    fn new() -> Self {
        Self { held: AtomicBool::new(false) }
    }

    #[inline]
    fn lock(&self) {
        let backoff = Backoff::new();
        while !self.try_lock() {
            backoff.snooze();
            // Waiting by reading leaves the holder its cache line.
            while self.held.load(Ordering::Relaxed) {
                backoff.snooze();
            }
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.held.store(false, Ordering::Release);
    }
}
