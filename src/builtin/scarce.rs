//! Whether hardly any pages of a source are left.

use crate::sync::{AtomicBool, Ordering};

/// A hint, for who has not got the source's lock.
pub(crate) struct Scarce(AtomicBool);

impl Scarce {
    pub(crate) fn new(scarce: bool) -> Self {
        Self(AtomicBool::new(scarce))
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes whether pages are scarce, which they are when more than 15 in 16 are out, and says so.
    pub(crate) fn note(&self, out: usize, all: usize) -> bool {
        let scarce = out > all - all.div_ceil(16);
        // Relaxed: a hint. Only a change is written, since others look at it.
        if self.get() != scarce {
            self.0.store(scarce, Ordering::Relaxed);
        }
        scarce
    }
}
