//! Retires against the callback (rules 3 and 4).

use crate::support::*;

/// Three used fragments of a page of four are retired from two sides while grace periods pass:
/// some land in P, some in X; the callback promotes X and calls again.
///
/// ```text
/// setup   page F = {3} listed; 0, 1, 2 used
/// first                           second
/// retire 0: P, call, or X         retire 2: P, call, or X
/// retire 1: P, call, or X         two grace periods: P -> F, X -> P and a call
/// ```
///
/// Rules 3 and 4. Two threads, exhaustive. Fails when the callback promotes X without a call (a
/// page that never comes home), when every retire calls (a race on the head that is queued
/// already), and with one pending mask (fragments that are freed without having been reclaimed). It
/// also fails when a retire that finds P empty does not acquire the callback that emptied it: the
/// RCU read the head before that callback, and the new call writes it.
#[test]
fn promotion_and_rearm() {
    explore_within::<256, _>(at_length(None), 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let other = spawn(move || {
            retire(a);
            retire(b);
        });
        retire(c);
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}
