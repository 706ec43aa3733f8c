//! When something happened, and how long it took: hints, and none in a model.

use std::time::Instant;

use crate::sync::MODEL;

/// Milliseconds since whenever, cheaply: one tick of the system more or less.
#[cfg(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub(super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

#[cfg(not(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle)))))]
pub(super) fn now() -> u64 {
    use std::sync::LazyLock;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    if MODEL { 0 } else { START.elapsed().as_millis() as u64 }
}

/// Does the work, and says how many nanoseconds it took, or zero in a model.
pub(super) fn timed<R>(work: impl FnOnce() -> R) -> (R, u64) {
    if MODEL {
        return (work(), 0);
    }
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_nanos() as u64)
}
