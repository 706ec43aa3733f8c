//! loom's build.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
#[cfg(feature = "std")]
pub(crate) use loom::sync::{Arc, atomic::AtomicUsize};
pub(super) use loom::thread::yield_now;

pub(crate) use super::weak::{AtomicPtr, AtomicU64};

/// loom's cell. Freeing its memory is a write to it, which loom does not see by itself.
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    /// Reads: nobody may write at the same time.
    #[track_caller]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.0.with(f)
    }

    /// Writes: nobody may read or write at the same time.
    #[track_caller]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }
}

impl<T> Drop for UnsafeCell<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

/// A pointer whose readers and writers are ordered by other means, which is checked here.
pub(crate) struct OrderedPtr(UnsafeCell<*mut ()>);

impl OrderedPtr {
    pub(crate) fn null() -> Self {
        Self(UnsafeCell::new(core::ptr::null_mut()))
    }

    #[track_caller]
    pub(crate) unsafe fn get(&self) -> *mut () {
        // SAFETY: loom fails the model where somebody writes at the same time.
        self.0.with(|value| unsafe { *value })
    }

    /// Strangers look only where something is wrong already, which no model has.
    #[track_caller]
    pub(crate) fn look(&self) -> *mut () {
        // SAFETY: as above.
        unsafe { self.get() }
    }

    #[track_caller]
    pub(crate) fn set(&self, new: *mut ()) {
        // SAFETY: as above, where somebody reads or writes.
        self.0.with_mut(|value| unsafe { *value = new });
    }
}

/// Declares a thread-local; loom's macro does not know constant initialisers.
#[cfg(feature = "std")]
macro_rules! const_thread_local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = const { $init:expr };) => {
        loom::thread_local! { $(#[$meta])* static $name: $ty = $init; }
    };
}
#[cfg(feature = "std")]
pub(crate) use const_thread_local;
