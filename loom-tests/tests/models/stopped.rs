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
