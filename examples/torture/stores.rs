//! Stores that take their time.

use std::sync::atomic::{AtomicU8, Ordering};

use fastrand::Rng;

/// More than the caches near a processor hold.
const LEN: usize = 16 << 20;
const LINE: usize = 64;

/// Memory that is hardly ever in a cache. Processors put off what they store behind a store to it, and go on loading:
/// a fence that is missing there is missed.
pub(crate) struct SlowStores(Box<[AtomicU8]>);

impl SlowStores {
    pub(crate) fn new() -> Self {
        Self((0..LEN).map(|_| AtomicU8::new(0)).collect())
    }

    pub(crate) fn make(&self, count: usize, rng: &mut Rng) {
        let lines = rng.u64(..);
        for n in 0..count as u64 {
            let at = (lines.wrapping_add(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
            self.0[at * LINE % LEN].store(1, Ordering::Relaxed);
        }
    }
}
