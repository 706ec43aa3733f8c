//! The lock of an mm's partial list, and of the built-in domain's queues.
//!
//! Why not `lock_api::RawMutex`: its `const INIT` cannot be had under loom, and it does not say
//! what this crate needs of `unlock` (see [`RawLock`]). Nor could an adapter over every `RawMutex`
//! be sound for that reason; whoever knows that a certain one keeps the promise implements these
//! four lines for it.

use core::fmt;

use crate::sync::{AtomicBool, Backoff, Ordering};

/// A mutual-exclusion lock without data.
///
/// # Safety
/// - At most one thread holds the lock; what its holder did happens before the next `lock` (or
///   successful `try_lock`) returns.
/// - **`unlock` has no tail**: the step of `unlock` that lets somebody else in is its last access
///   to the lock's memory. As soon as it is done another thread may free the mm's head, the lock
///   with it. (Waking a waiter by its address, as a futex does, is fine: the address is not
///   accessed.) For the same reason all of the lock's memory is atomics and cells.
pub unsafe trait RawLock: Send + Sync {
    /// An unlocked lock.
    fn new() -> Self;

    /// Waits until the lock is free and takes it. Must not run RCU callbacks meanwhile.
    ///
    /// Callbacks only ever try the lock, but for what an embedder's own code does in one: a
    /// [hook](crate::Hooks), the destructor of the hooks or of the source, or a `dispose`, that does
    /// anything with an mm or a handle but retire. Where callbacks can interrupt a holder on its own
    /// processor, an embedder with such code needs a lock that keeps them away.
    fn lock(&self);

    /// Takes the lock if it is free; returns whether it did. Never waits.
    fn try_lock(&self) -> bool;

    /// Releases the lock.
    ///
    /// # Safety
    /// The caller holds it.
    unsafe fn unlock(&self);
}

/// The built-in lock: one byte, spins, and with `std` gives the processor away past a few rounds.
///
/// The list operations under it are a handful of stores, so waiting rarely outlives the spinning.
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
