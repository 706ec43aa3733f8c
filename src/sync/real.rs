//! The ordinary build.

pub(crate) use crossbeam_utils::Backoff;
#[cfg(feature = "std")]
pub(crate) use portable_atomic::AtomicUsize;
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(feature = "std")]
pub(crate) use std::{sync::Arc, thread_local as const_thread_local};

pub(super) use portable_atomic::AtomicPtr as RealAtomicPtr;
#[cfg(feature = "std")]
pub(crate) use portable_atomic::{AtomicU64 as RealAtomicU64, AtomicUsize as RealAtomicUsize};

pub(crate) use super::cell::{OrderedPtr, UnsafeCell};

/// Whether this is a model.
pub(crate) const MODEL: bool = false;
