//! The happens-before edges, one to a model. Two threads each, exhaustive; each
//! says which weakened ordering it reports as a race, and which it does not.

use crate::support::*;

/// The hook writes to a fragment, then a taker does.
///
/// ```text
/// setup   page F = {3} listed, P = {0}
/// callback                        taker
/// hook writes 0; CAS 0 -> F       take 0 or the host, and write it
/// ```
///
/// A fragment's last use before its reuse. Two threads, exhaustive. Fails when the callback's
/// exchange in `apply` is not Release, or the taker's not Acquire: in `take_first`, or in
/// `take_listed`.
#[test]
fn callback_before_take() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || take(&mm, 0).unwrap());
        try_grace_period();
        let frag = other.join().unwrap();
        [b, c, frag].into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// An owner writes to a fragment and gives it back, then a taker writes.
///
/// ```text
/// setup   page F = {3} listed, 0 used
/// giver                           taker
/// write 0; CAS 0 -> F             take 0 or the host, and write it
/// ```
///
/// A fragment's last use before its reuse. Two threads, exhaustive. Fails when the exchange of the
/// give-back is not Release, or the taker's in `take_listed` not Acquire.
#[test]
fn give_back_before_take() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let other = spawn(move || {
            write(a.as_ptr());
            give_back(a);
        });
        let frag = take(&mm, 0).unwrap();
        other.join().unwrap();
        [b, c, frag].into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// A fragment is retired behind another's call, so that no call of its own brings the edge.
///
/// ```text
/// setup   page F = {3} listed, P = {0}, 1 used
/// retirer                         other
/// write 1; CAS 1 -> X             grace period: 0 -> F, 1 -> P; grace period: hook writes 1
/// ```
///
/// Rule 17. Two threads, exhaustive. Fails when the exchange of `retire` is not Release, and when
/// `queue` does not acquire the word: where `retire` finds P empty it queues the head that the
/// callback's RCU has just read.
#[test]
fn retire_before_its_callback() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || {
            write(b.as_ptr());
            retire(b);
        });
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        retire(c);
        drop(mm.end());
    });
}

/// One thread gives a fragment back, another retires the last one and brings the page home, and the
/// source writes to all of it.
///
/// ```text
/// setup   0, 1 used; page unlisted
/// giver                           other
/// write 0; CAS 0 -> F, link       retire 1; grace periods: home; put writes the page
/// ```
///
/// Rule 6, and all use of a page before its release. Two threads, exhaustive. Does not fail when
/// `queue` does not acquire the word, since the lock orders it here; `close_against_the_last_retire`
/// does. It fails with a race on the node when the page's call is queued before the unlink, and with
/// a broken list when the giver links the page in another hold of the lock than the one in which it
/// changed the word.
#[test]
fn use_before_release() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [a, b] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let other = spawn(move || {
            write(a.as_ptr());
            give_back(a);
        });
        retire(b);
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// One thread fetches a page and lists it, another finds it through the list head.
///
/// ```text
/// setup   an mm without pages
/// first                           second
/// make the descriptor; link       enter; first; load word; CAS
/// ```
///
/// Descriptor and first word before a page is found. Two threads, exhaustive. Fails when the list
/// head's store in `push` or its load in `first` is Relaxed.
#[test]
fn fresh_page_before_a_looker() {
    explore_within::<256, _>(at_length(None), 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let other = spawn(move || take(&mm, 0));
        if let Some(frag) = take(&mm, 0) {
            retire(frag);
        }
        other.join().unwrap().into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// The list's first page is unlinked, and a looker finds the second one in its place, whose
/// descriptor is new.
///
/// ```text
/// setup   X: 0, 1 used; unlisted
/// first                           second
/// make Y; link Y; give X 1 back   enter; first; load word; CAS, or under the lock
/// link X; take X 1; unlink X
/// ```
///
/// Descriptor and first word before a page is found. Two threads, exhaustive. Does not tell a
/// Relaxed store in `unlink` from the Release one: here the thread that unlinks has made the
/// descriptor itself. It fails as `fresh_page_before_a_looker` does.
#[test]
fn unlink_before_a_looker() {
    explore_within::<128, _>(at_length(None), 2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let other = spawn(move || {
            let fresh = take(&mm, 0);
            give_back(second);
            [fresh, take(&mm, 0)]
        });
        let found = take(&mm, 0);
        let theirs = other.join().unwrap();
        theirs.into_iter().flatten().chain(found).chain([first]).for_each(retire);
        drop(mm.end());
    });
}
