//! Empty pages that an mm keeps (rules 1, 6 and 12).

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread::yield_now,
};
use ptfrag::Frag;

use crate::{local::*, support::*};

/// An mm that keeps empty pages is closed while the last fragment of one comes back, and while
/// another thread shrinks it: the page goes home once.
///
/// ```text
/// setup   page F = {1} listed, 0 used; the mm keeps a page
/// giver                           closer
/// CAS F = {0, 1}, listed          shrink: lock; CAS 0; unlink; home
/// or (closed) home                close: lock; unlink; CAS: unlisted, or 0; home
/// ```
///
/// Rules 1, 6 and 12. Two threads, exhaustive. Fails with a lost page when a give-back that finds
/// the page off the list leaves it there all free, and when the close does not send home what is kept.
#[test]
fn kept_page_against_close() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(1));
        let last = take(&mm, 0).unwrap();
        let other = spawn(move || give_back(last));
        mm.shrink();
        mm.close();
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// A taker takes from a kept page while another thread shrinks the mm.
///
/// ```text
/// setup   page F = {0, 1} listed, kept
/// taker                           shrinker
/// enter; CAS F = {1}; leave       lock; CAS 0; unlink; unlock; home
/// or from the source
/// ```
///
/// Rules 1 and 6. Two threads, exhaustive. Fails with another mm's or a used fragment when the
/// shrinker unlinks and sends home a page from which something was taken meanwhile.
#[test]
fn kept_page_against_a_taker() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(1));
        give_back(take(&mm, 0).unwrap());
        let other = spawn(move || take(&mm, 0));
        mm.shrink();
        try_grace_period();
        other.join().unwrap().into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// A kept page is let go while another mm fetches one.
///
/// ```text
/// setup   page F = {0, 1} listed, kept
/// shrinker                        other
/// lock; CAS 0; unlink; unlock     nothing at the source; or the page: take, which writes to it
/// home
/// ```
///
/// Rule 8. Two threads, exhaustive. Fails with a race on the node when the page is put back before it is
/// unlinked.
#[test]
fn kept_page_against_a_second_mm() {
    explore::<128>(2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm().keeping(1));
        let b: Shared<Mm2> = Shared::new(mm());
        give_back(take(&a, 0).unwrap());
        let other = spawn(move || take(&b, 1));
        a.shrink();
        other.join().unwrap().into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// All of a page is retired at once, and its callback lists the page that the mm keeps, while the mm
/// is closed.
///
/// ```text
/// setup   page P = {0, 1}, unlisted; the mm keeps a page
/// callback                        closer
/// try the lock; open: F = {0, 1}, lock; closed; unlink; home
/// link; or closed: release
/// ```
///
/// Rules 1, 6 and 12. Two threads, exhaustive. Fails with a lost page when the callback keeps the
/// page without asking under the lock whether the mm is open.
#[test]
fn kept_whole_page_against_close() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(1));
        let frags = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        for frag in &frags {
            Stage::with(|stage| stage.retired(frag.as_ptr()));
        }
        Frag::retire_all(frags);
        let other = spawn(try_grace_period);
        mm.close();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// An mm that keeps an empty page is closed under a looker; the page then goes to another mm.
///
/// ```text
/// setup   a: page F = {0, 1, 2, 3} listed, kept
/// looker                          main
/// enter; first = page             close: unlink; CAS 0; home
/// load word                       grace period (gives up if the looker is inside)
/// CAS F = {1, 2, 3}, or start over
/// leave                           b takes the page: F = {1, 2, 3}, quiet
/// ```
///
/// Rules 6 and 12. Two threads, exhaustive. Fails with another mm's fragment when b shows the page
/// at once, and with a page that never comes home when the close does not send it there.
#[test]
fn kept_page_closed_under_a_looker() {
    explore::<256>(2, 1, || {
        let a: Shared<Mm4> = Shared::new(mm().keeping(1));
        let b: Shared<Mm4> = Shared::new(mm());
        give_back(take(&a, 0).unwrap());
        let looker = spawn(move || take(&a, 0));
        a.close();
        hand_over(a, b, looker);
    });
}

/// What an mm keeps is set when a handle that has emptied a page has just gone.
///
/// ```text
/// user of the handle              owner
/// take; give back: keep?          wait, without an edge
/// home: unpin                     .
/// drop the handle: unpin          pins == 1: keep = 1
/// ```
///
/// Orderings: all use of the head before its only handle sets it up. Two threads, exhaustive. Fails
/// with a race on `keep` when the owner's look at the pins is not Acquire.
#[test]
fn set_up_after_a_handle() {
    explore::<128>(2, 1, || {
        let mm: Mm2 = mm();
        let mut local: Handle2 = local(&mm);
        let gone = Shared::new(AtomicBool::new(false));
        let other = spawn(move || {
            give_back(take_by(&mut local).unwrap());
            local.flush();
            try_grace_period();
            drop(local);
            gone.store(true, Ordering::Relaxed);
        });
        while !gone.load(Ordering::Relaxed) {
            yield_now();
        }
        drop(mm.keeping(1));
        other.join().unwrap();
        gone.end();
    });
}

/// A page that is kept is taken from while another becomes empty: its place is free again, or is not
/// yet, and afterwards there is exactly one.
///
/// ```text
/// setup   page Q F = {0, 1} listed, kept; R: 1 used, F = {0}; the mm keeps one page
/// taker                           giver
/// CAS Q F = {1}; place -1         place +1? CAS R F = {0, 1}, kept; or home
/// ```
///
/// Two threads, exhaustive. Fails with a page that is not kept at the end when a taker, or a change that
/// was not made, does not give the place up, and with two that are when it is given up twice.
#[test]
fn a_place_is_given_up_once() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(1));
        let [q, q_too, r] = [0; 3].map(|_| take(&mm, 0).unwrap());
        give_back_all(vec![q, q_too]);
        let other = spawn(move || give_back(r));
        let mine = take(&mm, 0).unwrap();
        other.join().unwrap();
        try_grace_period();
        give_back(mine);
        try_grace_period();
        try_grace_period();
        assert_eq!(mm.pages(), 1, "pages are kept");
        assert_eq!(mm.shrink(), 1);
        drop(mm.end());
    });
}
