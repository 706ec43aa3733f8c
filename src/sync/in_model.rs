//! What the checkers' builds have in common.

/// Whether this is a model.
pub(crate) const MODEL: bool = true;

/// For what is only a hint, or for operators: no checker need try what else it could be.
#[cfg(feature = "std")]
pub(crate) use core::sync::atomic::{AtomicU64 as RealAtomicU64, AtomicUsize as RealAtomicUsize};

/// Waiting lets another thread go on.
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn snooze(&self) {
        super::yield_now();
    }
}
