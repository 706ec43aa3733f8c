//! An embedder that counts how often its locks are taken.

use std::sync::atomic::{AtomicUsize, Ordering};

use ptfrag::{Embed, RawLock, Region, SpinLock};

use super::Manual;

/// How often any of this program's locks was taken, or tried for.
pub static LOCKED: AtomicUsize = AtomicUsize::new(0);

/// A lock that counts.
pub struct Counting(SpinLock);

// SAFETY: the lock inside does it all.
unsafe impl RawLock for Counting {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        LOCKED.fetch_add(1, Ordering::Relaxed);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        LOCKED.fetch_add(1, Ordering::Relaxed);
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }
}

/// Grace periods by hand, and that lock.
pub struct Counted;

impl Embed for Counted {
    type Rcu = Manual;
    type Source = Region<4096>;
    type Lock = Counting;
    type Hooks = ();
}
