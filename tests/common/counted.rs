//! An embedder whose locks count how often they are taken, and can be interfered with.

use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicUsize, Ordering},
};

use ptfrag::{Embed, RawLock, Region, SpinLock};

use super::Manual;

/// How often any of this program's locks was taken, or tried for.
pub static LOCKED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether somebody else seems to hold every lock, for who only tries.
    pub static REFUSE: Cell<bool> = const { Cell::new(false) };
    /// What is to happen before this thread next takes a lock, and after it next releases one.
    pub static BEFORE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    pub static AFTER: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A lock that counts.
pub struct Counting(SpinLock);

// SAFETY: the lock inside does it all; what comes after its release touches it no more.
unsafe impl RawLock for Counting {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        let before = BEFORE.with_borrow_mut(Option::take);
        before.into_iter().for_each(|before| before());
        LOCKED.fetch_add(1, Ordering::Relaxed);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        LOCKED.fetch_add(1, Ordering::Relaxed);
        !REFUSE.get() && self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
        let after = AFTER.with_borrow_mut(Option::take);
        after.into_iter().for_each(|after| after());
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
