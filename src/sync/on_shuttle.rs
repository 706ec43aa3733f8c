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
