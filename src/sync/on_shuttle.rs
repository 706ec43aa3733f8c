//! shuttle's build.

pub(crate) use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
};
pub(super) use shuttle::thread::yield_now;
#[cfg(feature = "std")]
pub(crate) use shuttle::{
    sync::{Arc, atomic::AtomicUsize},
    thread_local as const_thread_local,
};

pub(super) use core::sync::atomic::AtomicPtr as RealAtomicPtr;

pub(crate) use super::cell::{OrderedPtr, UnsafeCell};

/// All threads of shuttle see one order of everything: it has no use for fences.
#[cfg(feature = "std")]
pub(crate) fn may_fence_everywhere() -> bool {
    true
}

#[cfg(feature = "std")]
pub(crate) fn fence_everywhere() -> bool {
    fence(Ordering::SeqCst);
    true
}

#[cfg(feature = "std")]
pub(crate) fn light_fence() {}

#[cfg(feature = "std")]
pub(crate) fn between() {}

/// Nobody counts writes here.
pub(super) fn wrote<T>(_: *const T) {}
