//! What is retired while its page's call still waits for its grace period to begin joins it (rule 4).

use ptfrag::{Frag, RawLock, Rcu};

use crate::support::*;

type Mm2 = Told<2, 128>;
type Mm4 = Told<4, 256>;

/// A reader retires what it reads, and reads on, while the grace period of a call on the same page begins
/// or has begun.
///
/// ```text
/// setup   page F = {3} listed, P = {1}; 0, 2 used
/// reader                          other
/// enter; ticket; retire 0: P or X grace period (gives up if the reader is inside): P -> F
/// read 0                          the same again
/// leave                           take and write the lowest free fragment
/// ```
///
/// Rule 4. Two threads, exhaustive. Fails with a race when a retirement joins without comparing tickets.
#[test]
fn reader_that_retires() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(told());
        let [b, a, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || {
            let section = Telling::new().read();
            let seen = b.as_ptr();
            retire(b);
            read(seen);
            drop(section);
        });
        try_grace_period();
        try_grace_period();
        let again = take(&mm, 0);
        other.join().unwrap();
        again.into_iter().for_each(retire);
        retire(c);
        drop(mm.end());
    });
}

/// A fragment is retired by who compared tickets before the grace period, when its callback runs.
///
/// ```text
/// setup   P = {0}, 1 used
/// retirer                         callback
/// ticket; CAS 1 -> P, or X        grace period; hook for what is in P
///                                 CAS P -> F, or look again; home when all is free
/// ```
///
/// Rule 4. Two threads, exhaustive. Fails with a fragment that is free and was never reclaimed when the
/// callback frees what has joined since it looked.
#[test]
fn joined_after_the_look() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(told());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        retire(first);
        let other = spawn(move || {
            write(second.as_ptr());
            retire(second);
        });
        try_grace_period();
        other.join().unwrap();
        let again = take(&mm, 0);
        again.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// The same where the callback is another thread's than the grace period: it sees of what has joined what the word says, and
/// no more.
///
/// Rule 4. Three threads. Fails with a race when the callback's load is not Acquire.
#[test]
fn joined_in_another_threads_grace_period() {
    explore::<128>(3, 1, || {
        let mm: Shared<Mm2> = Shared::new(told());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        retire(first);
        let other = spawn(move || {
            write(second.as_ptr());
            retire(second);
        });
        try_grace_period_elsewhere();
        other.join().unwrap();
        let again = take(&mm, 0);
        again.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// The same when the callback finds the lock held and comes again: when it does it runs no hook.
///
/// ```text
/// setup   P = {0}; 1, 2, 3 used; a thread holds the lock
/// retirer                         callback
/// ticket; CAS 1 -> P, or X        grace period; hook; the lock is held: CAS HOOKED, or look again
///                                 the lock is let go; grace period: P -> F, link
/// ```
///
/// Rules 4 and 15. Two threads, exhaustive. Fails with a fragment that is free and was never reclaimed when
/// a callback that comes again does not leave a mark, and when a retirement joins in spite of it.
#[test]
fn joined_while_it_comes_again() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(told());
        let frags = [0; 4].map(|_| take(&mm, 0).unwrap());
        spawn(|| Stage::with(|stage| stage.lock(0)).lock()).join().unwrap();
        let [first, second, rest @ ..] = frags;
        retire(first);
        let other = spawn(move || retire(second));
        try_grace_period();
        other.join().unwrap();
        Stage::with(|stage| stage.unjam(0));
        try_grace_period();
        let again = take(&mm, 0);
        rest.into_iter().chain(again).for_each(retire);
        drop(mm.end());
    });
}

/// Three retire on one page with a grace period between: whoever makes the call stores its ticket, and
/// what the others compare is that or an older one.
///
/// ```text
/// setup   0, 1, 2, 3 used, 0 published
/// reader               retirer                        other
/// enter; find 0        CAS 1 -> P; ticket; call       grace period: P -> F
/// read 0               unpublish 0; CAS 0 -> P or X   grace period
/// leave                                               take and write what is free
/// ```
///
/// Rule 4. Three threads, at most 3 preemptions. Fails with a race when a retirement joins without comparing
/// tickets.
#[test]
fn unpublished_before_it_joins() {
    explore::<256>(3, 1, || {
        let mm: Shared<Mm4> = Shared::new(told());
        let [published, second, third] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let addr = published.as_ptr();
        let slot = Shared::new(mm.slot());
        slot.publish(published);
        let reader = spawn(move || {
            let section = Telling::new().read();
            if let Some(seen) = slot.load(&section) {
                read(std::ptr::NonNull::from(seen).cast());
            }
        });
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
            let word = mm.page_word(addr).expect("a page of the source");
            if word.free().is_empty() { None } else { take(&mm, 0) }
        });
        retire(second);
        Stage::with(|stage| stage.retired(addr));
        slot.clear();
        let again: Option<Frag<4, SIZE, _>> = other.join().unwrap();
        reader.join().unwrap();
        again.into_iter().chain([third]).for_each(retire);
        drop(slot.end());
        drop(mm.end());
    });
}

/// The word of a page that comes again is the same in two flights.
///
/// ```text
/// setup   0, 1, 2, 3 used; 0 retired, its grace period over, the lock held: 0 waits in P, HOOKED
/// main                                       retirer
/// unlock; 0 free; take and retire it         load the word; compare tickets; CAS 1 -> P or X
/// lock; its grace period over: HOOKED again
/// unlock; two grace periods
/// ```
///
/// Rule 15. Two threads, at most 4 preemptions. Fails when a retirement joins a page that is HOOKED: the hook
/// does not run for 1.
#[test]
fn hooked_twice() {
    explore::<256>(4, 1, || {
        let mm: Shared<Mm4> = Shared::new(told());
        let [first, second, rest @ ..] = [0; 4].map(|_| take(&mm, 0).unwrap());
        let hold = || spawn(|| Stage::with(|stage| stage.lock(0)).lock()).join().unwrap();
        hold();
        retire(first);
        try_grace_period();
        let other = spawn(move || retire(second));
        Stage::with(|stage| stage.unjam(0));
        try_grace_period();
        let again = take(&mm, 0);
        hold();
        again.into_iter().for_each(retire);
        try_grace_period();
        other.join().unwrap();
        Stage::with(|stage| stage.unjam(0));
        try_grace_period();
        try_grace_period();
        rest.into_iter().for_each(retire);
        drop(mm.end());
    });
}
