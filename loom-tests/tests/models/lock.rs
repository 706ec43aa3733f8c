//! The crate's spin lock.

use crate::support::*;
use loom::cell::UnsafeCell;
use ptfrag::{RawLock, SpinLock};

struct Counter {
    lock: SpinLock,
    count: UnsafeCell<usize>,
}

impl Counter {
    fn step(&self) {
        self.lock.lock();
        // SAFETY: under the lock.
        self.count.with_mut(|count| unsafe { *count += 1 });
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
    }
}

/// Two threads count under the lock.
///
/// ```text
/// lock; count; unlock             lock; count; unlock
/// ```
///
/// What `RawLock` promises. Two threads, exhaustive. Fails with a race when `try_lock` does not
/// acquire, or `unlock` does not release.
#[test]
fn spin_lock_excludes() {
    explore::<128>(2, 1, || {
        let counter = Shared::new(Counter { lock: SpinLock::new(), count: UnsafeCell::new(0) });
        let other = spawn(move || counter.step());
        counter.step();
        other.join().unwrap();
        // SAFETY: the other thread has been joined.
        counter.end().count.with(|count| assert_eq!(unsafe { *count }, 2));
    });
}
