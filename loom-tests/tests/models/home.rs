//! An empty page goes home (rules 6 and 8).

use crate::support::*;

/// The last used fragment is given back while a taker looks at the page.
///
/// ```text
/// setup   page F = {1} listed, 0 used
/// giver                           taker
/// lock; CAS 0; unlink; unlock     enter; only the host: leave
/// home                            lock; list empty or host; unlock; take; give back
/// ```
///
/// Rules 1 and 6. Two threads, exhaustive. Fails with a broken list, or a race on the node, when the
/// lock is taken only after the word was changed, and when the unlink is done without it. What can be done without the lock is what the sketch of 8 June
/// 2023 left open (in the thread "mm: free retracted page table by RCU").
#[test]
fn home_against_a_taker() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let last = take(&mm, 0).unwrap();
        let other = spawn(move || {
            if let Some(frag) = take(&mm, 0) {
                give_back(frag);
            }
        });
        give_back(last);
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// The page goes home while another mm fetches one.
///
/// ```text
/// setup   page F = {1} listed, 0 used
/// giver                           other
/// lock; CAS 0; unlink; unlock     nothing at the source; or the page: take, which writes to it
/// home
/// ```
///
/// Rule 8. Two threads, exhaustive. Fails with a race on the node when the page is put back before it is
/// unlinked.
#[test]
fn home_against_a_second_mm() {
    explore::<128>(2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        let other = spawn(move || take(&b, 1));
        give_back(last);
        other.join().unwrap().into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// The last fragment is given back while the callback of the other one runs: whoever comes second
/// sends the page home, and exactly one does.
///
/// ```text
/// setup   a: P = {0}, 1 used
/// giver                           callback
/// F = {1}, link; or home          F = {0}, link; or home
///                                 b takes the page
/// ```
///
/// Rules 6 and 8. Two threads, exhaustive. Fails with a race on the node when the unlink takes no lock, with a second reclaim when a callback that does
/// not get the lock starts from the hook again, and with a lost page when it does not come again.
#[test]
fn give_back_against_the_last_callback() {
    explore::<128>(2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
        retire(first);
        let other = spawn(move || give_back(second));
        try_grace_period();
        try_grace_period();
        let next = take(&b, 1);
        other.join().unwrap();
        next.into_iter().for_each(give_back);
        drop(a.end());
        drop(b.end());
    });
}
