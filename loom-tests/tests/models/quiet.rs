//! A page that goes home at once, and comes to another mm while takers still look at it (rule 6). The
//! looker's fragment must be its own mm's in every order: the support checks that in `take`.

use crate::support::*;

type Mm4 = Told<4, 256>;

/// A page is with a second mm once, without being shown, and then again: those who found it with the first
/// mm may still be about.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                          main
/// enter; first = page             give back 0: home
/// load word                       b takes the page, quiet, and gives it back: home
/// CAS, or start over              b takes the page: still quiet
/// leave
/// ```
///
/// Rule 6. Two threads, at most 5 preemptions. Fails with another mm's fragment when a page that was never shown goes
/// home as if its last mm had shown it.
#[test]
fn quiet_twice() {
    explore_within::<256, _>(Some(5), 2, 1, || {
        let a: Shared<Mm4> = Shared::new(told());
        let b: Shared<Mm4> = Shared::new(told());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        take(&b, 1).into_iter().for_each(give_back);
        hand_over(a, b, looker);
    });
}

/// A page is quiet with its second mm until its grace period is over, and is shown then, while takers of
/// both mms look.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                          main
/// take from a                     give back 0: home; b takes the page, quiet
/// take from b                     grace period (gives up if the looker is inside)
///                                 take under b's lock: shown, if that is over
/// ```
///
/// Rule 6. Two threads, at most 3 preemptions. Fails with another mm's fragment when a quiet page is shown by the first
/// take under the lock, without asking for its ticket, and with a page that never comes home when it is
/// left on the list of quiet ones.
#[test]
fn shown_when_it_may_be() {
    explore_within::<256, _>(Some(3), 2, 2, || {
        let a: Shared<Mm4> = Shared::new(told());
        let b: Shared<Mm4> = Shared::new(told());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || [take(&a, 0), take(&b, 1)]);
        give_back(last);
        let first = take(&b, 1);
        try_grace_period();
        let second = take(&b, 1);
        let found = looker.join().unwrap();
        found.into_iter().chain([first, second]).flatten().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// A page goes to a second mm and comes back to the first, under a looker that has found it before.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                          main
/// enter; first = page             give back 0: home
/// load word                       b takes 0 and 1, writes them, gives them back: home
/// CAS F = {2, 3}, or start over   a takes the page: F = {1, 2, 3} listed, shown if the ticket says so
/// leave
/// ```
///
/// Rule 6. Two threads, at most 3 preemptions. Fails with a race on what the second mm has written when the change that
/// lists a page is not Release.
#[test]
fn there_and_back() {
    explore_within::<256, _>(Some(3), 2, 2, || {
        let a: Shared<Mm4> = Shared::new(told());
        let b: Shared<Mm4> = Shared::new(told());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        let theirs: Vec<_> = (0..2).filter_map(|_| take(&b, 1)).collect();
        give_back_all(theirs);
        let mine = take(&a, 0);
        looker.join().unwrap().into_iter().chain(mine).for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// Somebody else moves grace periods on while a page goes home by a give-back: the one that its ticket
/// stands for begins when nobody finds it any more.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                 main                            other
/// enter; first = page    give back 0: unlink; home       grace period (gives up if the looker
/// load word              b takes the page, and shows     is inside)
/// CAS, or start over     it if its ticket has elapsed
/// leave
/// ```
///
/// Rule 6. Three threads, at most 3 preemptions. Fails with another mm's fragment when the ticket is
/// taken before the page is off the list.
#[test]
fn ticket_after_the_unlink() {
    explore::<256>(3, 1, || {
        let a: Shared<Mm4> = Shared::new(told());
        let b: Shared<Mm4> = Shared::new(told());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        let other = spawn(try_grace_period);
        give_back(last);
        let next = take(&b, 1);
        let found = looker.join().unwrap();
        other.join().unwrap();
        found.into_iter().chain(next).for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}
