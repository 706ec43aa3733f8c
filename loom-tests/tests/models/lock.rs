//! The crate's spin lock.

use crate::support::*;
use loom::cell::UnsafeCell;
use ptfrag::{Mm, RawLock, SpinLock};

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

/// A giver lists a page under the lock. Before it has left `unlock` the mm is dropped, the page goes
/// home and takes the mm's head along, in which the lock lies.
///
/// ```text
/// setup   0, 1 used; page unlisted
/// giver                           owner
/// lock; F = {0}: link             .
/// unlock                          lock; unlink; unlock; unpin
///                                 give back 1: the page goes home, and the head
/// ```
///
/// Rule 11, and what `RawLock` promises of the end of `unlock`. Two threads, exhaustive. Fails when
/// `unlock` looks at the lock again after it has released it.
#[test]
fn unlocked_as_the_head_goes() {
    explore::<128>(2, 1, || {
        let owned: Mm<2, SIZE, Env<128, ModelRcu, SpinLock>> = mm_on(ModelRcu);
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        let giver = spawn(move || give_back(first));
        drop(owned);
        give_back(last);
        try_grace_period();
        giver.join().unwrap();
    });
}
