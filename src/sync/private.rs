//! Words that are one thread's own.
//!
//! A signal handler that interrupts the thread may use them too, for which the language wants atomics. No model
//! has signals, so there they are cells, whose uses a checker can watch.

#[cfg(any(ptfrag_loom, ptfrag_shuttle))]
use super::UnsafeCell;
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
use super::{AtomicPtr, AtomicUsize, Ordering};

macro_rules! private {
    ($(#[$meta:meta])* $name:ident $(<$param:ident>)?, $value:ty, $atomic:ty) => {
        $(#[$meta])*
        #[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
        pub(crate) struct $name$(<$param>)?($atomic);

        $(#[$meta])*
        #[cfg(any(ptfrag_loom, ptfrag_shuttle))]
        pub(crate) struct $name$(<$param>)?(UnsafeCell<$value>);

        #[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
        impl$(<$param>)? $name$(<$param>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(<$atomic>::new(value))
            }

            #[inline(always)]
            pub(crate) fn get(&self) -> $value {
                self.0.load(Ordering::Relaxed)
            }

            #[inline(always)]
            pub(crate) fn set(&self, value: $value) {
                self.0.store(value, Ordering::Relaxed);
            }
        }

        #[cfg(any(ptfrag_loom, ptfrag_shuttle))]
        impl$(<$param>)? $name$(<$param>)? {
            #[cfg(ptfrag_loom)]
            pub(crate) fn new(value: $value) -> Self {
                Self(UnsafeCell::new(value))
            }

            #[cfg(ptfrag_shuttle)]
            pub(crate) const fn new(value: $value) -> Self {
                Self(UnsafeCell::new(value))
            }

            pub(crate) fn get(&self) -> $value {
                // SAFETY: it is this thread's own.
                self.0.with(|value| unsafe { *value })
            }

            pub(crate) fn set(&self, value: $value) {
                // SAFETY: as above.
                self.0.with_mut(|slot| unsafe { *slot = value });
            }
        }
    };
}

private!(
    /// A word of one thread's.
    Private, usize, AtomicUsize
);
private!(
    /// A pointer of one thread's.
    PrivatePtr<T>, *mut T, AtomicPtr<T>
);
