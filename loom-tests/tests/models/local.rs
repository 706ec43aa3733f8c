//! Per-thread handles: a reader, a flush, a drop or a stopped thread against the handle's call.
//!
//! In these builds a handle has room for four fragments, makes a call for a single one, looks at
//! every retirement whether it is back, and claims whole pages from the first.

use ptfrag::{Frag, Local, Mm, Rcu};

use crate::support::*;

pub type Handle<const N: usize, const PAGE: usize> = Local<N, SIZE, Env<PAGE>>;
pub type Handle2 = Handle<2, { 2 * SIZE }>;
pub type Handle4 = Handle<4, { 4 * SIZE }>;

/// A handle whose part lies on the stage.
pub fn local<const N: usize, const PAGE: usize>(mm: &Mm<N, SIZE, Env<PAGE>>) -> Handle<N, PAGE> {
    let place = Stage::with(Stage::place);
    // SAFETY: the place is fresh and stays until the execution is over.
    unsafe { mm.local_at(place, Stage::disposed) }
}

/// Takes a fragment through a handle and writes to it.
pub fn take_by<const N: usize, const PAGE: usize>(
    local: &mut Handle<N, PAGE>,
) -> Option<Frag<N, SIZE, Env<PAGE>>> {
    let frag = local.alloc().ok()?;
    Stage::with(|stage| stage.taken(frag.as_ptr(), 0));
    write(frag.as_ptr());
    Some(frag)
}

pub fn retire_by<const N: usize, const PAGE: usize>(
    local: &mut Handle<N, PAGE>,
    frag: Frag<N, SIZE, Env<PAGE>>,
) {
    Stage::with(|stage| stage.retired(frag.as_ptr()));
    local.retire(frag);
}

/// Gives a fragment back through a handle.
pub fn give_back_by<const N: usize, const PAGE: usize>(
    local: &mut Handle<N, PAGE>,
    frag: Frag<N, SIZE, Env<PAGE>>,
) {
    Stage::with(|stage| stage.given_back(frag.as_ptr()));
    local.give_back(frag);
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
        let theirs: Handle2 = local(&mm);
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

/// What one handle has too much of another one takes, or finds a page of its own.
///
/// ```text
/// setup   0, 1, 2, 3 used, from the first handle
/// second                          first
/// give back all four: with the    take: what was passed on, or a fresh page
///   last two of them pass on      take another; give both back
///                                 dropped
/// ```
///
/// Rule 22. Two threads and one that waits for them, at most 3 preemptions. Fails with a race when the exchange in `pass` is not Release or the one
/// in `take_passed` not Acquire, and with a lost fragment when a handle that is dropped leaves there what
/// it has passed on.
#[test]
fn passed_on() {
    explore::<256>(3, 2, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let mut first: Handle4 = local(&mm);
        let mut second: Handle4 = local(&mm);
        let frags = [0; 4].map(|_| take_by(&mut first).unwrap());
        let giver = spawn(move || {
            for frag in frags {
                write(frag.as_ptr());
                give_back_by(&mut second, frag);
            }
            second
        });
        let taker = spawn(move || {
            let again = [0; 2].map(|_| take_by(&mut first).unwrap());
            again.into_iter().for_each(|frag| give_back_by(&mut first, frag));
        });
        drop(giver.join().unwrap());
        taker.join().unwrap();
        drop(mm.end());
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
