//! shuttle's build.

pub(crate) use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
};
#[cfg(feature = "std")]
pub(crate) use shuttle::{
    sync::{Arc, atomic::AtomicUsize},
    thread_local as const_thread_local,
};

pub(super) use core::sync::atomic::AtomicPtr as RealAtomicPtr;

pub(crate) use super::cell::{OrderedPtr, UnsafeCell};

/// Whether this is a model.
pub(crate) const MODEL: bool = true;

/// Waiting lets another thread go on.
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn snooze(&self) {
        shuttle::thread::yield_now();
    }
}
