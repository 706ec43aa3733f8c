//! The primitives that everything else is built on, so that one source builds three ways.
//!
//! An ordinary build takes its atomics from portable-atomic; the packages `loom-tests` and
//! `shuttle-tests` compile this same source with `cfg(loom)` or `cfg(shuttle)`, and every atomic,
//! cell and wait then goes through the checker. Elsewhere those cfgs only leave out what has no
//! place in a model: the `mmap`ed page source and the statics.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering, fence},
};
#[cfg(loom)]
mod weak;
#[cfg(loom)]
pub(crate) use weak::{AtomicPtr, AtomicU64};
#[cfg(loom)]
pub use weak::{plan_weak_failures, take_weak_failures};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

#[cfg(all(loom, feature = "std"))]
pub(crate) use loom::sync::{Arc, atomic::AtomicUsize};
#[cfg(all(shuttle, feature = "std"))]
pub(crate) use shuttle::sync::{Arc, atomic::AtomicUsize};
#[cfg(all(not(any(loom, shuttle)), feature = "std"))]
pub(crate) use {
    portable_atomic::AtomicUsize,
    std::sync::{Arc, LazyLock},
};

#[cfg(not(loom))]
pub(crate) use cell::UnsafeCell;

/// `core`'s cell with loom's way of calling it.
#[cfg(not(loom))]
mod cell {
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
            f(self.0.get())
        }
    }
}

/// Waits a little for another thread: spins, and past a few rounds gives the processor away.
pub(crate) struct Backoff {
    #[cfg(not(any(loom, shuttle)))]
    inner: crossbeam_utils::Backoff,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(not(any(loom, shuttle)))]
            inner: crossbeam_utils::Backoff::new(),
        }
    }

    #[inline]
    pub(crate) fn snooze(&self) {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(shuttle)]
        shuttle::thread::yield_now();
        #[cfg(not(any(loom, shuttle)))]
        self.inner.snooze();
    }
}

/// Declares a thread-local with a `const` initialiser.
#[cfg(feature = "std")]
macro_rules! const_thread_local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = const { $init:expr };) => {
        #[cfg(not(any(loom, shuttle)))]
        std::thread_local! { $(#[$meta])* static $name: $ty = const { $init }; }
        // loom's macro does not know constant initialisers.
        #[cfg(loom)]
        loom::thread_local! { $(#[$meta])* static $name: $ty = $init; }
        #[cfg(shuttle)]
        shuttle::thread_local! { $(#[$meta])* static $name: $ty = const { $init }; }
    };
}
#[cfg(feature = "std")]
pub(crate) use const_thread_local;

/// Declares a constructor that is `const` in every build but loom's, whose atomics and cells
/// register themselves at run time.
macro_rules! const_new {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$meta])*
        #[cfg(not(loom))]
        #[must_use]
        $vis const fn $name($($arg: $ty),*) -> $ret $body

        $(#[$meta])*
        #[cfg(loom)]
        #[must_use]
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_new;
