//! Takers in two lanes (rule 23): the main thread's is lane 0, the other one's lane 1.

use crate::support::*;

type Mm4 = Told<4, 256>;

/// An mm with two lanes.
fn in_lanes() -> Shared<Mm4> {
    Shared::new(told().lanes(2))
}

/// Of page X, and of page Y behind it, one fragment is used; both are in lane 0. Who takes in lane 1 fetches X over with its
/// second take, when it has seen twice that nobody takes in lane 0 under the lock.
fn two_pages(mm: &Mm4) -> [ptfrag::Frag<4, SIZE, Env<256, Telling>>; 2] {
    let mut frags: Vec<_> = (0..5).map(|_| take(mm, 0).unwrap()).collect();
    let y = frags.pop().unwrap();
    let x = frags.pop().unwrap();
    give_back_all(frags);
    [x, y]
}

/// A taker finds nothing in its lane and fetches a page over, while one in the other lane takes from it, and
/// needs the next one.
///
/// ```text
/// setup   lane 0: X F = {0, 1, 2}, Y F = {1, 2, 3}; lane 1: nothing
/// main                            other
/// take from X without the lock;   lock: X is not the only one: unlink, lane 1, push
/// then the host, or from Y        take from X without the lock, or its host
/// ```
///
/// Two threads, exhaustive. Fails with a broken list when the page's word does not say that it has changed
/// its lane, and with a fragment that is handed out twice when it is said without regard to what others change.
#[test]
fn fetched_over_under_a_taker() {
    explore::<256>(2, 2, || {
        let mm = in_lanes();
        let mut frags = Vec::from(two_pages(&mm));
        let other = spawn(move || [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()]);
        frags.extend([take(&mm, 0).unwrap(), take(&mm, 0).unwrap()]);
        frags.extend(other.join().unwrap());
        frags.into_iter().for_each(retire);
        try_grace_period();
        drop(mm.end());
    });
}

/// A page is fetched over, emptied and sent home from its new lane, while a taker looks at it who found it in the old
/// one. Then another mm has it.
///
/// ```text
/// setup   a, lane 0: X F = {1, 2, 3}, Y F = {1, 2, 3}; lane 1: nothing
/// main                            other
/// enter; first = X                fetch X over; take from it; give all back: home
/// load word                       b takes a page
/// CAS, or start over
/// ```
///
/// Rules 6 and 23. Two threads, exhaustive. Fails with another mm's fragment when a page that is fetched over
/// is not taken off the list of its old lane, or b shows it at once.
#[test]
fn looked_at_in_its_old_lane() {
    explore::<256>(2, 2, || {
        let a = in_lanes();
        let b: Shared<Mm4> = Shared::new(told());
        let [x, y] = two_pages(&a);
        let other = spawn(move || {
            let more = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
            give_back_all(more.into_iter().chain([x]).collect());
            take(&b, 1)
        });
        let found = take(&a, 0).unwrap();
        let theirs = other.join().unwrap();
        [Some(y), Some(found), theirs].into_iter().flatten().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// A callback puts a page back in its lane while a taker fetches the one before over, and the mm is closed.
///
/// ```text
/// setup   lane 0: Y F = {2, 3}, Z F = {1, 2, 3}; X: P = {0, 1, 2}
/// main                            other
/// grace period: X to lane 0       fetch over the first one; take
/// close
/// ```
///
/// Rules 1 and 23. Two threads, at most 3 preemptions. Fails with a broken list when a page comes back to another lane than its word says.
#[test]
fn comes_back_to_its_lane() {
    explore_within::<256, _>(Some(3), 2, 3, || {
        let mm = in_lanes();
        let mut frags: Vec<_> = (0..9).map(|_| take(&mm, 0).unwrap()).collect();
        frags.drain(6..8).for_each(give_back);
        frags.drain(0..3).for_each(retire);
        let other = spawn(move || [take(&mm, 0), take(&mm, 0)]);
        try_grace_period();
        mm.close();
        frags.extend(other.join().unwrap().into_iter().flatten());
        frags.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// The only page of a lane stays there. Others take from it under the lock while its own takers need the host.
///
/// ```text
/// setup   lane 0: X F = {2, 3}; lane 1: nothing; nothing at the source
/// main                            other
/// take 2 without the lock;        lock: take 2, or the host: unlink
/// or the host: unlink
/// ```
///
/// Rules 2 and 23. Two threads, exhaustive. Fails with a taker that gets nothing when one in another lane does
/// not look there before it gives up.
#[test]
fn the_only_page_is_shared() {
    explore::<256>(2, 1, || {
        let mm = in_lanes();
        let mut frags: Vec<_> = (0..4).map(|_| take(&mm, 0).unwrap()).collect();
        frags.drain(2..).for_each(give_back);
        let other = spawn(move || take(&mm, 0).expect("there are two"));
        frags.push(take(&mm, 0).expect("there are two"));
        frags.push(other.join().unwrap());
        frags.into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// A page that another lane's taker has fetched, and not listed, when the source has no other.
///
/// ```text
/// setup   no page is out, one is at the source
/// main                            other
/// get; list it in lane 0;         get: nothing
/// not fetching any more           somebody fetches: waits; looks at lane 0
/// ```
///
/// Rules 20 and 23. Two threads, exhaustive. Fails with a taker that gets nothing when it asks only for who fetches in
/// its own lane, and when either fence is missing.
#[test]
fn a_page_on_its_way_in_another_lane() {
    explore::<256>(2, 1, || {
        let mm = in_lanes();
        let other = spawn(move || take(&mm, 0));
        let mine = take(&mm, 0);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() && theirs.is_some(), "a page was on its way");
        mine.into_iter().chain(theirs).for_each(retire);
        drop(mm.end());
    });
}

/// The last used fragment of a page is given back while the page is fetched over: who has waited for one lane's lock
/// finds the page in another.
///
/// ```text
/// setup   lane 0: X F = {0, 1, 2}, 3 used; Y F = {1, 2, 3}; lane 1: nothing
/// main                            other
/// give X 3 back: all free         take from X, give back; fetch X over, take, give back; once more
/// lock of lane 0, or 1; unlink
/// ```
///
/// Rules 1 and 23. Two threads, at most 4 preemptions. Fails with a broken list when the word is not looked at again under the lock.
#[test]
fn emptied_while_fetched_over() {
    explore_within::<256, _>(Some(4), 2, 2, || {
        let mm = in_lanes();
        let [x, y] = two_pages(&mm);
        let other = spawn(move || (0..3).for_each(|_| give_back(take(&mm, 0).unwrap())));
        give_back(x);
        other.join().unwrap();
        retire(y);
        drop(mm.end());
    });
}

/// A page moves to the lane of a taker, which has looked there, before that looks at the lane that it came from; and
/// what was left in that is taken.
///
/// ```text
/// setup   lane 1: X F = {0, 1, 2}, Y F = {3}; lane 0: nothing; nothing at the source
/// main (lane 0)                   other (lane 0 as well)         third (lane 1)
/// nothing at the source           take from X; fetch X over;     take Y's host
/// lane 0: nothing; then lane 1    take from it
/// ```
///
/// Rule 23. Three threads and one before them, at most 2 preemptions. Fails with a taker that gets nothing when it looks
/// at one lane after the other.
#[test]
fn moved_behind_a_look() {
    explore_within::<256, _>(Some(2), 4, 2, || {
        let mm = in_lanes();
        let setup = spawn(move || {
            let mut frags: Vec<_> = (0..8).map(|_| take(&mm, 0).unwrap()).collect();
            give_back(frags.pop().unwrap());
            frags.drain(..3).for_each(give_back);
            frags
        });
        let mut frags = setup.join().unwrap();
        let other = spawn(move || [take(&mm, 0), take(&mm, 0)]);
        let third = spawn(move || take(&mm, 0));
        frags.push(take(&mm, 0).expect("there are four"));
        let theirs = other.join().unwrap().into_iter().chain([third.join().unwrap()]);
        frags.extend(theirs.map(|frag| frag.expect("there are four")));
        frags.into_iter().for_each(retire);
        drop(mm.end());
    });
}
