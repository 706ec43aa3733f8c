//! A counted reference, in the system's memory.

use core::{
    mem::ManuallyDrop,
    ops::Deref,
    sync::atomic::{AtomicUsize, Ordering, fence},
};

use super::Own;

/// An `Arc`, but for where its memory comes from.
///
/// # Invariants
/// It points to a [`Counted`] from an [`Own`], which counts it.
pub(crate) struct Arc<T>(*const Counted<T>);

/// The value comes first, so that a pointer to it is one to the whole.
#[repr(C)]
struct Counted<T> {
    value: T,
    count: AtomicUsize,
}

// SAFETY: as for an `Arc` of std's: it shares the value, and whoever is the last one drops it.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Own::new(Counted { value, count: AtomicUsize::new(1) }).into_raw())
    }

    /// The value, which this goes on being a reference to.
    pub(crate) fn into_raw(this: Self) -> *const T {
        ManuallyDrop::new(this).0.cast()
    }

    /// What [`into_raw`](Self::into_raw) let go.
    ///
    /// # Safety
    /// It is from there, and this is done once for each.
    pub(crate) unsafe fn from_raw(value: *const T) -> Self {
        Self(value.cast())
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: it is there until the last reference goes.
        unsafe { &*self.0 }
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        // Relaxed: whoever has a reference keeps the value. The count does not overflow: there are no more references than
        // threads, and a few.
        self.counted().count.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        // Release: what was done with the value comes before its end.
        if self.counted().count.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: this was the last one.
            drop(unsafe { Own::from_raw(self.0.cast_mut()) });
        }
    }
}
