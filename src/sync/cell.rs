//! `core`'s cell with loom's way of calling it, and a pointer that is one to loom.

use core::ptr;

use super::{Ordering, RealAtomicPtr, wrote};

/// Memory that is read and written through closures, so that loom can watch it in its build.
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Reads: nobody may write at the same time.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Writes: nobody may read or write at the same time.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        wrote(self);
        f(self.0.get())
    }
}

/// A pointer whose readers and writers are ordered by other means. In loom's build it is a cell, so
/// that this is checked; elsewhere a relaxed atomic, so that who looks at a stranger's gets one value or
/// another.
#[repr(transparent)]
pub(crate) struct OrderedPtr(RealAtomicPtr<()>);

impl OrderedPtr {
    pub(crate) const fn null() -> Self {
        Self(RealAtomicPtr::new(ptr::null_mut()))
    }

    /// # Safety
    /// Nobody writes at the same time.
    #[inline(always)]
    pub(crate) unsafe fn get(&self) -> *mut () {
        // SAFETY: passed on to the caller.
        unsafe { self.0.as_ptr().read() }
    }

    /// For a stranger, who may get any value that it ever had.
    #[inline(always)]
    pub(crate) fn look(&self) -> *mut () {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: *mut ()) {
        wrote(self);
        self.0.store(value, Ordering::Relaxed);
    }
}
