//! The ordinary build.

#[cfg(ptfrag_lines)]
pub(super) use super::counted::wrote;
#[cfg(ptfrag_lines)]
pub(crate) use super::counted::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
pub(crate) use crossbeam_utils::Backoff;
#[cfg(all(feature = "std", not(ptfrag_lines)))]
pub(crate) use portable_atomic::AtomicUsize;
#[cfg(not(ptfrag_lines))]
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
pub(crate) use portable_atomic::{Ordering, fence};
#[cfg(feature = "std")]
pub(crate) use std::thread_local as const_thread_local;

pub(super) use portable_atomic::AtomicPtr as RealAtomicPtr;
#[cfg(feature = "std")]
pub(crate) use portable_atomic::{AtomicU64 as RealAtomicU64, AtomicUsize as RealAtomicUsize};

pub(crate) use super::cell::{OrderedPtr, UnsafeCell};

/// Whether this is a model.
pub(crate) const MODEL: bool = false;

/// Where writes are counted, this is one.
#[cfg(not(ptfrag_lines))]
#[inline(always)]
pub(super) fn wrote<T>(_: *const T) {}
