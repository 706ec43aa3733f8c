//! Takers against takers, and against a callback that links (rules 1 and 2).

use crate::support::*;

/// Two takers and the last two fragments: one gets the plain one without the lock, the other finds
/// nothing but the host and takes it under the lock, which unlinks the page.
///
/// ```text
/// setup   page F = {2, 3} listed, host 3
/// first                           second
/// enter; CAS F = {3}; leave       enter; only the host: leave
///                                 lock; CAS F = {}; unlink; unlock
/// ```
///
/// Rule 2. Two threads, exhaustive. Fails with a corrupt list, or with a fragment handed out twice,
/// when `Word::take` takes the host too.
#[test]
fn two_takers_and_the_last_two() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let kept = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let other = spawn(move || take(&mm, 0).unwrap());
        let mine = take(&mm, 0).unwrap();
        let theirs = other.join().unwrap();
        assert!(take(&mm, 0).is_none());
        retire(mine);
        retire(theirs);
        kept.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// A callback puts page Q on the list while a taker takes the host of page R and unlinks it.
///
/// ```text
/// setup   Q: P = {0}, 1 used; R: F = {1} listed, 0 used
/// callback                        taker
/// try the lock; CAS F = {0}       enter; only the host: leave
/// link Q before R; unlock         lock; take the first page's host; unlink; unlock
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes when the callback links without
/// the lock.
#[test]
fn last_fragment_against_a_link() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [q, q_host] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let r = take(&mm, 0).unwrap();
        retire(q);
        let other = spawn(move || take(&mm, 0).unwrap());
        try_grace_period();
        let r_host = other.join().unwrap();
        [q_host, r, r_host].into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// A fragment above the host comes back while a taker is at the page: HOST stays where the node is.
///
/// ```text
/// setup   page F = {1} listed, host 1; P = {3}; 0, 2 used
/// callback                        taker
/// hook writes 3; CAS F = {1, 3}   take 3; or under the lock the host 1, and unlink
/// ```
///
/// Rule 2. Two threads, exhaustive. Fails with a corrupt list when a callback on a listed page
/// chooses the highest free fragment as the host anew.
#[test]
fn host_stays() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c, d] = [0; 4].map(|_| take(&mm, 0).unwrap());
        give_back(b);
        retire(d);
        let other = spawn(move || take(&mm, 0).unwrap());
        try_grace_period();
        let frag = other.join().unwrap();
        let more = take(&mm, 0);
        [a, c, frag].into_iter().chain(more).for_each(retire);
        drop(mm.end());
    });
}

/// Two takers and a source with one page: who fetches it has not listed it when the other finds the list
/// and the source empty.
///
/// ```text
/// setup   no page is out
/// first                           second
/// lock: nothing; unlock           lock: nothing; unlock
/// fetching; get; link             somebody fetches: waits, then lock; take
/// not fetching any more           or fetches in vain, and looks again
/// ```
///
/// Two threads, exhaustive. Fails with a taker that gets nothing when a fetch ends before its page is
/// listed.
#[test]
fn a_page_on_its_way() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let other = spawn(move || take(&mm, 0));
        let mine = take(&mm, 0);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() && theirs.is_some(), "a page was on its way");
        mine.into_iter().chain(theirs).for_each(retire);
        drop(mm.end());
    });
}
