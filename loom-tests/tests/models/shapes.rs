//! Scenes that no other group has: a source that fails, hooks that come back to their mm, three
//! parties round one list.

use crate::support::*;

/// The source refuses a taker, but only after something of the taker's own has come back.
///
/// ```text
/// setup   a: P = {0}, 1 used; one more page at the source
/// taker                           other
/// lock; the list is empty; unlock grace period: 0 -> F, link
/// source: a page, or none left    b takes the last page
/// lock; look again
/// ```
///
/// A take fails only if nothing was to be had. Two threads, exhaustive. Fails when `take_slowly`
/// does not look at the list again after the source has refused.
#[test]
fn source_fails_while_something_comes_back() {
    explore::<128>(2, 2, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
        let addr = first.as_ptr();
        retire(first);
        let other = spawn(move || {
            try_grace_period();
            let back = a.page_word(addr).is_some_and(|word| !word.free().is_empty());
            if back { take(&b, 1) } else { None }
        });
        let found = take(&a, 0).expect("either the page or the fragment was there");
        let theirs = other.join().unwrap();
        [found, second].into_iter().chain(theirs).for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// A page is made by one thread and comes to the list's head by another's unlinking; a third finds
/// it there.
///
/// ```text
/// setup   X: 0, 1 used; unlisted
/// maker                   unlinker                looker
/// make Y; link Y          give X 1 back: link X   enter; first = Y; load word
///                         take it: unlink X       CAS
/// ```
///
/// The edge of the descriptor and its first word. Three threads, at most 3 preemptions. Fails when
/// the store of the list head in `unlink` is Relaxed: who stores it did not make the page.
#[test]
fn unlinked_by_one_made_by_another() {
    explore::<128>(3, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let maker = spawn(move || take(&mm, 0));
        let unlinker = spawn(move || {
            give_back(second);
            take(&mm, 0)
        });
        let found = take(&mm, 0);
        let made = maker.join().unwrap();
        let again = unlinker.join().unwrap();
        [Some(first), found, made, again].into_iter().flatten().for_each(retire);
        drop(mm.end());
    });
}

/// A page is sent home by one thread and fetched for a second mm by another, under a third that looks
/// at it.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// giver                   other                   looker
/// CAS 0; unlink           grace period            enter; first = page
/// home                    b takes the page        load word; CAS, or start over
/// ```
///
/// Rule 6. Three threads, at most 3 preemptions. Fails with another mm's fragment when b shows the
/// page at once, and when the looker leaves its section before it
/// changes the word.
#[test]
fn three_round_a_page() {
    explore::<256>(3, 1, || {
        let a: Shared<Mm4> = Shared::new(mm());
        let b: Shared<Mm4> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        let giver = spawn(move || give_back(last));
        let other = spawn(move || {
            try_grace_period();
            take(&b, 1)
        });
        let found = take(&a, 0);
        giver.join().unwrap();
        other.join().unwrap().into_iter().chain(found).for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// The last retire of a listed page with a call in flight, and two grace periods that pass
/// meanwhile.
///
/// ```text
/// setup   page F = {3} listed, P = {0, 1}, 2 used
/// retirer                         other
/// CAS 2 -> X, or P and call       grace period: P -> F, X -> P, call
///                                 grace period: 0: unlink; home
/// ```
///
/// Rule 6. Two threads, exhaustive. Fails when the last retire takes the page off the list, the
/// word first and the list after: X is promoted and the page released while the retirer has not
/// unlinked it. That is Linux c2c224932fd0 again, and takes three groups of fragments to show.
#[test]
fn last_retire_against_two_grace_periods() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        ptfrag::Frag::retire_all([a, b].map(|frag| {
            Stage::with(|stage| stage.retired(frag.as_ptr()));
            frag
        }));
        let other = spawn(move || retire(c));
        for _ in 0..3 {
            try_grace_period();
        }
        other.join().unwrap();
        drop(mm.end());
    });
}

/// The mm is dropped with a page of which nothing is used, and whose call is in flight.
///
/// ```text
/// setup   page F = {1} listed, P = {0}
/// owner                           other
/// lock; unlink; CAS; unlock       grace period: F = {0, 1}: 0, unlinked by whom it was listed
/// let the head go                 home, the head goes
/// ```
///
/// Rules 6 and 11. Two threads, exhaustive. Fails when the close clears LISTED before it unlinks,
/// and when a page lets its pin go before the source has it.
#[test]
fn drop_with_nothing_used() {
    explore::<128>(2, 1, || {
        let owned: Mm2 = mm();
        let only = take(&owned, 0).unwrap();
        retire(only);
        let owner = spawn(move || drop(owned));
        for _ in 0..3 {
            try_grace_period();
        }
        owner.join().unwrap();
    });
}

/// A hook takes and retires in the mm of the fragment that it is given, while another takes there.
///
/// ```text
/// setup   page F = {3} listed, P = {0}; 1, 2 used
/// callback                        taker
/// hook: retire 1: X               take 3 under the lock: unlink
/// hook: take 3, or a fresh page
/// CAS 0 -> F, 1 -> P, call; link
/// ```
///
/// Rule 9. Two threads, exhaustive. Fails when the hook is called with the lock held, which the hook
/// finds, and with a page that never comes home when the callback goes by the X that it read before
/// the hook.
#[test]
fn hook_in_its_own_mm() {
    explore::<256>(2, 2, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let taken = Shared::new(std::cell::RefCell::new(Vec::new()));
        retire(a);
        Stage::with(|stage| {
            stage.at_reclaim(move || {
                retire(b);
                taken.borrow_mut().extend(take(&mm, 0));
            });
        });
        let other = spawn(move || take(&mm, 0));
        try_grace_period();
        let theirs = other.join().unwrap();
        Stage::with(Stage::run_hook);
        let hooks = taken.end().into_inner();
        hooks.into_iter().chain(theirs).chain([c]).for_each(retire);
        drop(mm.end());
    });
}
