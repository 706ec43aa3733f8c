//! Per-thread handles: a reader, a flush, a drop or a stopped thread against the handle's call.
//!
//! In these builds a handle has room for four fragments, makes a call for a single one, looks at
//! every retirement whether it is back, and claims whole pages from the first.

use ptfrag::{Frag, Local, Mm, Rcu};

use crate::support::*;

type Handle<const N: usize, const PAGE: usize> = Local<N, SIZE, Env<PAGE>>;
type Handle2 = Handle<2, { 2 * SIZE }>;
type Handle4 = Handle<4, { 4 * SIZE }>;

/// A handle whose part lies on the stage.
fn local<const N: usize, const PAGE: usize>(mm: &Mm<N, SIZE, Env<PAGE>>) -> Handle<N, PAGE> {
    let place = Stage::with(Stage::place);
    // SAFETY: the place is fresh and stays until the execution is over.
    unsafe { mm.local_at(place, Stage::disposed) }
}

/// Takes a fragment through a handle and writes to it.
fn take_by<const N: usize, const PAGE: usize>(
    local: &mut Handle<N, PAGE>,
) -> Option<Frag<N, SIZE, Env<PAGE>>> {
    let frag = local.alloc().ok()?;
    Stage::with(|stage| stage.taken(frag.as_ptr(), 0));
    write(frag.as_ptr());
    Some(frag)
}

fn retire_by<const N: usize, const PAGE: usize>(
    local: &mut Handle<N, PAGE>,
    frag: Frag<N, SIZE, Env<PAGE>>,
) {
    Stage::with(|stage| stage.retired(frag.as_ptr()));
    local.retire(frag);
}

/// A reader follows a published pointer while the owner's handle has the fragment retired, gets it
/// back and hands it out again.
///
/// ```text
/// setup   0 published, 1 retired through the handle
/// reader                          owner
/// enter; load slot                clear the slot: 0 into the ring; call for what there is
/// read 0                          grace periods (give up if the reader is inside)
/// leave                           take what is ready, and write it
/// ```
///
/// Rules 5 and 18. Two threads, exhaustive. Fails with a race when a handle takes what it has sent
/// for ready without looking whether the call is back, when what is retired with a call in flight
/// counts as sent with it, and when the callback's exchange in `settle` is not Release or the load
/// in `look` not Acquire.
#[test]
fn reader_against_the_ring() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&mm);
        let [frag, last] = [take_by(&mut local).unwrap(), take_by(&mut local).unwrap()];
        let addr = frag.as_ptr();
        let slot = Shared::new(mm.slot());
        slot.publish(frag);
        retire_by(&mut local, last);
        let other = spawn(move || {
            let section = ModelRcu.read();
            if let Some(seen) = slot.load(&section) {
                read(std::ptr::NonNull::from(seen).cast());
            }
            drop(section);
            try_grace_period();
        });
        Stage::with(|stage| stage.retired(addr));
        local.clear(&slot);
        try_grace_period();
        let first = take_by(&mut local);
        try_grace_period();
        let second = take_by(&mut local);
        other.join().unwrap();
        first.into_iter().chain(second).for_each(|frag| retire_by(&mut local, frag));
        drop(local);
        drop(slot.end());
        drop(mm.end());
    });
}

/// A handle is flushed while its call comes back: the fragments go to their page once, by the one or
/// by the other, and the handle stays usable.
///
/// ```text
/// setup   page: 0 in the ring and sent for, 1 claimed
/// flusher                         other
/// SENT -> LEFT, or OVER: F = {0}  grace period: SENT -> OVER; or LEFT: F = {0}, IDLE
/// give 1 back; take again         grace period
/// ```
///
/// Rule 18. Two threads, exhaustive. Fails with a fragment handed out twice when the flush gives
/// back what it has sent although it is the callback's to do; with a lost one when the callback
/// does not, or when the handle takes IDLE for OVER the other way round.
#[test]
fn flush_against_the_callback() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&mm);
        let frag = take_by(&mut local).unwrap();
        retire_by(&mut local, frag);
        // The next retirement sends the first one.
        let more = take_by(&mut local).unwrap();
        retire_by(&mut local, more);
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
        });
        local.flush();
        let again = take_by(&mut local);
        other.join().unwrap();
        again.into_iter().for_each(|frag| retire_by(&mut local, frag));
        drop(local);
        drop(mm.end());
    });
}

/// A handle is dropped while its call comes back, and it was the last to keep the mm's head: the
/// part goes once, then the head.
///
/// ```text
/// setup   mm dropped; 0 sent for, 1 in the ring
/// owner                           other
/// retire 1; state -> GONE, or     grace periods: SENT -> OVER, or GONE: 0 -> F; part, head
/// give 0 back; part, head         release
/// ```
///
/// Rules 11 and 18. Two threads, exhaustive. Fails when both end the part, or neither; when the
/// part lets its pin go before it gives back; and with a race on the head's shadow when the swap in
/// `drop` is not Acquire, or the callback's exchange not Release.
#[test]
fn drop_against_the_callback() {
    explore::<128>(2, 2, || {
        let mm: Mm2 = mm();
        let mut local: Handle2 = local(&mm);
        let frag = take_by(&mut local).unwrap();
        retire_by(&mut local, frag);
        let more = take_by(&mut local).unwrap();
        retire_by(&mut local, more);
        drop(mm);
        let other = spawn(move || {
            for _ in 0..3 {
                try_grace_period();
            }
        });
        drop(local);
        other.join().unwrap();
    });
}

/// A handle that was flushed with a call in flight is dropped before that is back.
///
/// ```text
/// setup   0 sent for
/// owner                           other
/// SENT -> LEFT                    grace periods: LEFT: 0 -> F, IDLE; or GONE: 0 -> F, part
/// state -> GONE, or end the part
/// ```
///
/// Rule 18. Two threads, exhaustive. Fails with a part that is never freed, or freed twice, when the
/// callback sets IDLE without looking whether the handle has gone meanwhile, and when the drop ends
/// the part although its callback still gives back.
#[test]
fn flush_then_drop() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&mm);
        let [frag, more] = [take_by(&mut local).unwrap(), take_by(&mut local).unwrap()];
        retire_by(&mut local, frag);
        retire_by(&mut local, more);
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
        });
        local.flush();
        drop(local);
        other.join().unwrap();
        drop(mm.end());
    });
}

/// A handle goes on after it was flushed, and makes its next call as soon as the last one is back.
///
/// ```text
/// setup   0 sent for; 2, 3 used
/// owner                           other
/// SENT -> LEFT                    grace periods: LEFT: 0 -> F, IDLE
/// retire 2, 3: look; IDLE: call
/// ```
///
/// Rule 18. Two threads, exhaustive. Fails with a race on the part's head when the callback's last
/// exchange is not Release.
#[test]
fn flushed_and_used_again() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let mut local: Handle4 = local(&mm);
        let [first, second, third, fourth] = [0; 4].map(|_| take_by(&mut local).unwrap());
        retire_by(&mut local, first);
        retire_by(&mut local, second);
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
        });
        local.flush();
        retire_by(&mut local, third);
        retire_by(&mut local, fourth);
        other.join().unwrap();
        drop(local);
        drop(mm.end());
    });
}

/// A handle gets a fragment back and is dropped with nothing but the next call in flight, whose
/// callback ends the part.
///
/// ```text
/// setup   the ring: 0 ready; 1 sent for
/// owner                           other
/// take 0; state -> GONE           grace periods: 1 -> F; part
/// ```
///
/// Rules 11 and 18. Two threads, exhaustive. Fails with a race on the ring when the drop's exchange
/// is not Release, or the callback's last one does not acquire it: the part would be freed while
/// the owner still reads it.
#[test]
fn dropped_with_only_a_call() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&mm);
        let [first, second] = [take_by(&mut local).unwrap(), take_by(&mut local).unwrap()];
        retire_by(&mut local, first);
        retire_by(&mut local, second);
        assert!(try_grace_period());
        // Takes note that the first is ready, and sends the second.
        let spare = take_by(&mut local).unwrap();
        retire_by(&mut local, spare);
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
        });
        drop(local);
        other.join().unwrap();
        drop(mm.end());
    });
}

/// One thread's handle claims a page while another gives back and retires on it without one: what
/// the handle holds is used to everybody else.
///
/// ```text
/// setup   page F = {2, 3} listed; 0, 1 used
/// handle                          other
/// lock; CAS F = {}; unlink        retire 0: P, call; give back 1: F, link
/// hand out two                    grace period: 0 -> F
/// ```
///
/// Rules 1, 2 and 18. Two threads, exhaustive. Fails with a corrupt list when the claim does not
/// unlink the page or unlinks it without the lock, and with a race when it does not acquire.
#[test]
fn claim_against_frees() {
    explore::<256>(2, 2, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let mut local: Handle4 = local(&mm);
        let other = spawn(move || {
            retire(first);
            give_back(second);
            try_grace_period();
        });
        let frags: Vec<_> = (0..2).map_while(|_| take_by(&mut local)).collect();
        other.join().unwrap();
        frags.into_iter().for_each(|frag| retire_by(&mut local, frag));
        drop(local);
        drop(mm.end());
    });
}

/// Two handles of one mm: what one hands out the other retires, and gets.
///
/// ```text
/// setup   0, 1 used, from one handle
/// first                           second
/// retire 0; take                  retire 1; take
/// grace period                    grace period
/// ```
///
/// Rule 18. Two threads, at most 3 preemptions. Fails with a race when the callback's exchange in
/// `settle` is not Release, since either thread runs the other's call.
#[test]
fn two_handles() {
    explore_within::<128, _>(Some(3), 2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut mine: Handle2 = local(&mm);
        let mut theirs: Handle2 = local(&mm);
        let [first, second] = [take_by(&mut mine).unwrap(), take_by(&mut mine).unwrap()];
        let work = |mut local: Handle2, frag| {
            retire_by(&mut local, frag);
            let fresh = take_by(&mut local);
            try_grace_period();
            let again = take_by(&mut local);
            fresh.into_iter().chain(again).for_each(|frag| retire_by(&mut local, frag));
        };
        let other = spawn(move || {
            write(second.as_ptr());
            work(theirs, second);
        });
        work(mine, first);
        other.join().unwrap();
        drop(mm.end());
    });
}

/// The mm is dropped while another thread goes on with its handle.
///
/// ```text
/// owner                           handle
/// close; unpin                    take, retire, take; flush; drop
/// ```
///
/// Rules 11 and 18. Two threads, exhaustive. Fails when the handle does not pin the head, and when
/// a claim does not look whether the mm is closed (a page that is fetched for nobody is found by the
/// oracle only where it stays away; see the crate's own tests).
#[test]
fn mm_dropped_under_a_handle() {
    explore::<128>(2, 1, || {
        let mm: Mm2 = mm();
        let mut local: Handle2 = local(&mm);
        let frag = take_by(&mut local).unwrap();
        let other = spawn(move || {
            retire_by(&mut local, frag);
            try_grace_period();
            let next = take_by(&mut local);
            next.into_iter().for_each(|frag| retire_by(&mut local, frag));
            drop(local);
        });
        drop(mm);
        try_grace_period();
        other.join().unwrap();
    });
}

/// A thread stops for ever with the mm's lock. The callback of a handle that was flushed does not
/// wait for it, and another mm's callbacks run in the same batch.
///
/// ```text
/// setup   a: 0 sent for, then flushed; 1 used. b: 0, 1 used
/// stopped              main
/// lock a               retire b0; grace period: a's part comes again, b's frees b0; take b0
/// ```
///
/// Rules 15 and 18. Two threads, exhaustive. Fails with a deadlock when the part's callback waits
/// for the lock, with a second reclaim when it comes again from its start, and with a lost fragment
/// when it does not come again.
#[test]
fn stopped_lock_holder() {
    use ptfrag::RawLock;

    explore::<128>(2, 2, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&a);
        let [a0, a1] = [take_by(&mut local).unwrap(), take_by(&mut local).unwrap()];
        let [b0, b1] = [take(&b, 1).unwrap(), take(&b, 1).unwrap()];
        retire_by(&mut local, a0);
        // With this one the other is sent, and what is not is retired by the flush.
        retire_by(&mut local, a1);
        local.flush();
        let jammer = spawn(|| Stage::with(|stage| stage.lock(0)).lock());
        retire(b0);
        assert!(try_grace_period());
        let again = take(&b, 1).unwrap();
        jammer.join().unwrap();
        assert!(try_grace_period());
        Stage::with(|stage| stage.unjam(0));
        [again, b1].into_iter().for_each(retire);
        drop(local);
        drop(a.end());
        drop(b.end());
    });
}

/// An mm that keeps empty pages is closed while the last fragment of one comes back, and while
/// another thread shrinks it: the page goes home once.
///
/// ```text
/// setup   page F = {1} listed, 0 used; the mm keeps a page
/// giver                           closer
/// CAS F = {0, 1}, listed          shrink: lock; DRAIN; unlink; call
/// or (closed) DRAIN, call         close: lock; unlink; CAS: unlisted, or DRAIN and a call
/// ```
///
/// Rules 1, 6 and 12. Two threads, exhaustive. Fails with a lost page when a give-back that finds
/// the page off the list leaves it there all free, and when the close does not drain what is kept.
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
/// enter; CAS F = {1}; leave       lock; CAS DRAIN; unlink; unlock; call
/// or from the source              grace period: release
/// ```
///
/// Rules 1 and 6. Two threads, exhaustive. Fails with another mm's or a used fragment when the
/// shrinker unlinks and drains a page from which something was taken meanwhile.
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

/// A kept page is let go while another thread runs the grace periods that release it.
///
/// ```text
/// setup   page F = {0, 1} listed, kept
/// shrinker                        other
/// lock; CAS DRAIN; unlink; unlock grace period: nothing queued, or release
/// call                            grace period
/// ```
///
/// Rule 6. Two threads, exhaustive. Fails with a race on the node when the call is queued before the
/// unlink.
#[test]
fn kept_page_against_its_callback() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(1));
        give_back(take(&mm, 0).unwrap());
        let other = spawn(|| {
            try_grace_period();
            try_grace_period();
        });
        mm.shrink();
        other.join().unwrap();
        drop(mm.end());
    });
}
