//! The lock of an mm of the caller's parts: the caller's own, or a spin lock.

use std::{
    cell::{Cell, UnsafeCell},
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use ptfrag::{RawLock, SpinLock};

use super::{Parts, called::called};

/// Words of a lock.
pub const PTFRAG_LOCK_WORDS: usize = 6;

/// A lock of the caller's, inside the mm: zero words are a free one. A `pthread_mutex_t` of Linux fits, initialised as
/// PTHREAD_MUTEX_INITIALIZER has it.
#[repr(C)]
pub struct Lock {
    /// The caller's.
    pub words: [*mut c_void; PTFRAG_LOCK_WORDS],
}

thread_local! {
    /// The parts for which the thread is making locks.
    static MAKING: Cell<*const Parts> = const { Cell::new(ptr::null()) };
}

/// Has the locks that `make` makes be those of these parts.
pub(super) fn making<R>(parts: &'static Parts, make: impl FnOnce() -> R) -> R {
    struct Before(*const Parts);

    impl Drop for Before {
        fn drop(&mut self) {
            MAKING.set(self.0);
        }
    }

    let _before = Before(MAKING.replace(parts));
    make()
}

pub(super) struct OwnLock {
    /// Null for a spin lock. Like all of a lock it may be looked at while another thread frees the mm, hence the atomic.
    parts: AtomicPtr<Parts>,
    spin: SpinLock,
    own: UnsafeCell<Lock>,
}

// SAFETY: the caller's functions are fit to be called on any thread; nobody else looks at what they guard with.
unsafe impl Send for OwnLock {}
// SAFETY: as above.
unsafe impl Sync for OwnLock {}

impl OwnLock {
    fn parts(&self) -> Option<&'static Parts> {
        // SAFETY: null, or parts that stay as long as the mm does.
        unsafe { self.parts.load(Ordering::Relaxed).as_ref() }
    }
}

// SAFETY: the caller's promise, function by function; the spin lock keeps it, and nothing is touched after either's `unlock`.
unsafe impl RawLock for OwnLock {
    fn new() -> Self {
        // SAFETY: it is null, or the parts of the mm that is being made.
        let parts = unsafe { MAKING.get().as_ref() }.filter(|parts| parts.lock.is_some());
        Self {
            parts: AtomicPtr::new(
                parts.map_or(ptr::null_mut(), |parts| ptr::from_ref(parts).cast_mut()),
            ),
            spin: SpinLock::new(),
            own: UnsafeCell::new(Lock { words: [ptr::null_mut(); PTFRAG_LOCK_WORDS] }),
        }
    }

    fn lock(&self) {
        let Some(parts) = self.parts() else { return self.spin.lock() };
        if let Some(lock) = parts.lock {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { lock(parts.context, self.own.get()) });
        }
    }

    fn try_lock(&self) -> bool {
        let Some(parts) = self.parts() else { return self.spin.try_lock() };
        // SAFETY: the caller's function, with its context.
        parts
            .try_lock
            .is_some_and(|try_lock| called(|| unsafe { try_lock(parts.context, self.own.get()) }))
    }

    unsafe fn unlock(&self) {
        let Some(parts) = self.parts() else {
            // SAFETY: passed on to the caller.
            return unsafe { self.spin.unlock() };
        };
        if let Some(unlock) = parts.unlock {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { unlock(parts.context, self.own.get()) });
        }
    }
}
