//! Fragments of several pages that go back in one hold of the lock (rules 1, 6, 9 and 11).

use crate::support::*;

/// Two fragments each of two pages go back while the mm is closed. Afterwards the mm has nothing to
/// hand out.
///
/// ```text
/// setup   two pages, all used
/// giver                           closer
/// lock; open: F = {0, 1}, link,   lock; closed; unlink what is listed
/// and the other page; unlock
/// or closed: unlock; F = {0, 1} of each
/// ```
///
/// Rules 1 and 11. Two threads, exhaustive. Fails with a fragment of a closed mm when the giver does
/// not ask under the lock whether the mm is open.
#[test]
fn batch_against_close() {
    explore::<256>(2, 2, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let mut frags: Vec<_> = (0..8).map(|_| take(&mm, 0).unwrap()).collect();
        let mut last = frags.split_off(6);
        last.extend(frags.drain(2..4));
        let other = spawn(move || mm.close());
        give_back_all(frags);
        other.join().unwrap();
        assert!(take(&mm, 0).is_none(), "the mm is closed");
        last.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// The last fragments of two listed pages go back while another thread takes from the first of them,
/// or finds it gone and takes from the second, or neither.
///
/// ```text
/// setup   two pages, F = {0} listed, 1 used
/// giver                           taker
/// lock; F = {0, 1}: 0, unlink     enter; first = page; load word
/// the other page too; unlock      CAS, or lock and the list's first page
/// two go home
/// ```
///
/// Rules 1, 6 and 9. Two threads, exhaustive. Fails with a page that never comes home when it is
/// not put back, and when pages are put back before the lock is released.
#[test]
fn batch_against_a_taker() {
    explore::<128>(2, 3, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut frags: Vec<_> = (0..4).map(|_| take(&mm, 0).unwrap()).collect();
        let last = vec![frags.remove(3), frags.remove(1)];
        give_back_all(frags);
        let other = spawn(move || take(&mm, 0));
        give_back_all(last);
        try_grace_period();
        other.join().unwrap().into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// One fragment each of two pages goes back while the others of both do too.
///
/// ```text
/// setup   two pages, all used
/// giver                           other
/// F = {0} of both: link           F = {1} of both: link
/// or F = {0, 1}: 0, unlink; home  or F = {0, 1}: 0, unlink; home
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes when a batch lists and unlists its
/// pages without the lock.
#[test]
fn batch_against_a_batch() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut frags: Vec<_> = (0..4).map(|_| take(&mm, 0).unwrap()).collect();
        let last = vec![frags.remove(3), frags.remove(1)];
        let other = spawn(move || give_back_all(frags));
        give_back_all(last);
        other.join().unwrap();
        drop(mm.end());
    });
}
