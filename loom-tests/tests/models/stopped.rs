//! A lock holder that stops for ever (rule 15).

use crate::support::*;
use ptfrag::RawLock;

/// A thread takes the lock of mm a and never comes back. Retiring in a and the callbacks of b,
/// which come in the same batch as a's, go on.
///
/// ```text
/// setup   a: 0, 1 used; b: 0, 1 used
/// stopped              main
/// lock a               retire b0, a0; grace period: a's callback comes again, b's frees b0
///                      take b0; retire a1; grace period
/// ```
///
/// Rule 15. Two threads, exhaustive. Fails with a deadlock when the callback waits for the lock, and
/// when `retire` takes it; with a second reclaim when the callback comes again from its start, and
/// with a lost page when it does not come again.
#[test]
fn stopped_lock_holder() {
    explore::<128>(2, 2, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let [a0, a1] = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
        let [b0, b1] = [take(&b, 1).unwrap(), take(&b, 1).unwrap()];
        let jammer = spawn(|| Stage::with(|stage| stage.lock(0)).lock());
        retire(b0);
        retire(a0);
        assert!(try_grace_period());
        let again = take(&b, 1).unwrap();
        retire(a1);
        jammer.join().unwrap();
        assert!(try_grace_period());
        Stage::with(|stage| stage.unjam(0));
        [again, b1].into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// The callbacks of two pages find the lock held; it is let go, and one of them comes again for both, or for
/// what is there, while the other is put on the stack.
///
/// ```text
/// setup   A: P = {0}, 1 used; B: 0, 1 used; a thread that has stopped holds the lock
/// first                           second
/// grace period: A on the stack    retire B 0
/// the lock is let go              grace period: B on the stack, or 0 -> F, link
/// grace period: A 0 -> F, link; and B if it is there
/// ```
///
/// Rule 15. Two threads, exhaustive. Fails with a head that is queued twice when the stack is empty while its
/// pages are seen to, and with a page that never comes home when who pushes then does not have anybody come.
#[test]
fn two_come_again() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [a0, a1, b0, b1] = [0; 4].map(|_| take(&mm, 0).unwrap());
        spawn(|| Stage::with(|stage| stage.lock(0)).lock()).join().unwrap();
        retire(a0);
        let other = spawn(move || {
            retire(b0);
            try_grace_period();
        });
        try_grace_period();
        Stage::with(|stage| stage.unjam(0));
        try_grace_period();
        other.join().unwrap();
        [a1, b1].into_iter().for_each(retire);
        drop(mm.end());
    });
}
