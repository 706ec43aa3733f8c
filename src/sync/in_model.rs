//! What the checkers' builds have in common.

/// Whether this is a model.
pub(crate) const MODEL: bool = true;

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
