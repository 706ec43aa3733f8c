//! The mm's end (rules 6, 11 and 12): it never waits, and the head goes exactly once, after its
//! last page. In Linux the last page's callback could not let the head go by itself, and needed
//! `mmdrop_async`; a `synchronize_rcu` in `exit_mmap` made kernel builds 12 % slower.

use ptfrag::RawLock;

use crate::support::*;

/// The owner drops the mm while the last used fragment of its listed page is retired.
///
/// ```text
/// setup   page F = {1} listed, 0 used
/// owner                           other
/// lock; unlink; CAS; unlock       retire 0: P, call
/// let the head go                 grace period: all free: home
/// ```
///
/// Rule 6. Two threads, exhaustive. Fails with a race on the node when the close clears LISTED
/// before it unlinks (the other may then release the page), and with a use after the end when a
/// page lets its pin go before the source has it.
#[test]
fn close_against_the_last_retire() {
    explore::<128>(2, 1, || {
        let owned: Mm2 = mm();
        let last = take(&owned, 0).unwrap();
        let owner = spawn(move || drop(owned));
        retire(last);
        try_grace_period();
        try_grace_period();
        owner.join().unwrap();
    });
}

/// A fragment is given back to a closed mm whose page has a call in flight; nothing else keeps the
/// head.
///
/// ```text
/// setup   mm dropped; P = {0}, 1 used
/// giver                           other
/// lock: closed; unlock            grace periods: F = {0}; or home, the head goes
/// CAS F = {1}, or home
/// ```
///
/// Rule 11. Two threads, exhaustive. Fails with a race on the lock's shadow when `apply` makes a
/// closed mm's transition under the lock: with the change the page may go, and the head with it,
/// and `unlock` comes after. Two grace-period attempts were not enough to show it. It also fails
/// when a give-back that sends the page home does not acquire the callback before it.
#[test]
fn give_back_after_the_close() {
    explore::<128>(2, 1, || {
        let owned: Mm2 = mm();
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        retire(first);
        drop(owned);
        let other = spawn(move || give_back(last));
        for _ in 0..3 {
            try_grace_period();
        }
        other.join().unwrap();
    });
}

/// The same while the owner is still dropping the mm: three parties, and the head goes with the
/// last.
///
/// ```text
/// setup   P = {0}, 1 used
/// owner                giver                       main
/// close; unpin         F = {1}, or home            three grace periods
/// ```
///
/// Rule 11. Three threads, at most 3 preemptions. Fails as `give_back_after_the_close` does, when the
/// owner unpins before it closes, when the call is queued before the unlink, and when the close
/// clears LISTED before it unlinks.
#[test]
fn drop_with_a_call_in_flight() {
    explore::<128>(3, 1, || {
        let owned: Mm2 = mm();
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        retire(first);
        let owner = spawn(move || drop(owned));
        let other = spawn(move || give_back(last));
        for _ in 0..3 {
            try_grace_period();
        }
        owner.join().unwrap();
        other.join().unwrap();
    });
}

/// The mm is closed, with a call in flight, under a looker; the page then goes to another mm.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, P = {0}; a grace period passes
/// looker                          main
/// enter; first = page             close: unlink, LISTED cleared
/// load word                       late callback: all free: home
/// CAS, or start over              grace period (gives up if the looker is inside)
/// leave                           b takes the page: F = {1, 2, 3}, quiet
/// ```
///
/// Rules 6 and 12. Two threads, exhaustive. Fails with another mm's fragment when b shows the
/// page at once: the grace period that ended need not have waited for somebody who looked just before
/// the close. Fragments that were never used beside a deferred free are the case of Linux commit
/// fda4d71651f7.
#[test]
fn close_against_a_looker() {
    explore::<256>(2, 1, || {
        let a: Shared<Mm4> = Shared::new(mm());
        let b: Shared<Mm4> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        retire(last);
        let due = grace_period().unwrap();
        let looker = spawn(move || take(&a, 0));
        a.close();
        due.run();
        hand_over(a, b, looker);
    });
}

/// A callback wants to link its page while the mm is closed; afterwards nothing is to be had.
///
/// ```text
/// setup   P = {0}, 1 used; page unlisted
/// closer                          other
/// lock; closed; unlink; unlock    grace period: try the lock; F = {0}: link, or closed: leave it
/// ```
///
/// The transition *close*. Two threads, exhaustive. Fails when `is_open` always says yes: the
/// callback then lists a page of a closed mm, and it can be taken.
#[test]
fn closed_mm_lists_nothing() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [first, last] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        retire(first);
        let other = spawn(try_grace_period);
        mm.close();
        other.join().unwrap();
        assert!(take(&mm, 0).is_none(), "a closed mm gave a fragment");
        give_back(last);
        drop(mm.end());
    });
}

/// The mm is dropped while its last page waits for the lock, and whoever comes again lets the head go.
///
/// ```text
/// setup   page F = {1} listed, P = {0}, HOOKED and on the stack; the lock is free again
/// owner                           other
/// lock; unlink; CAS; unlock       grace period: the stack is empty; F = {0, 1}: home
/// let the head go                 the head goes
/// ```
///
/// Rules 11 and 15. Two threads, exhaustive. Fails with a use after the end when the mark at the end of the
/// stack is taken away only after the last page was seen to.
#[test]
fn the_last_comes_again() {
    explore::<128>(2, 1, || {
        let owned: Mm2 = mm();
        retire(take(&owned, 0).unwrap());
        spawn(|| Stage::with(|stage| stage.lock(0)).lock()).join().unwrap();
        try_grace_period();
        Stage::with(|stage| stage.unjam(0));
        let owner = spawn(move || drop(owned));
        try_grace_period();
        try_grace_period();
        owner.join().unwrap();
    });
}
