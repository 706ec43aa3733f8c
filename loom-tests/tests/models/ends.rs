//! A handle lets go, by a flush or for good, while its call is in flight (rules 11 and 18).

use loom::sync::atomic::{AtomicBool, Ordering};

use crate::{local::*, support::*};

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
/// Rule 18. Two threads, at most 5 preemptions. Fails with a fragment handed out twice when the flush gives
/// back what it has sent although it is the callback's to do; with a lost one when the callback
/// does not, or when the handle takes IDLE for OVER the other way round.
#[test]
fn flush_against_the_callback() {
    explore_within::<128, _>(Some(5), 2, 2, || {
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

/// A fragment is given back to a handle that was flushed, while the callback gives back what was sent.
///
/// ```text
/// setup   2 x 2 fragments: 0, 1 retired, one of them sent for; 2 used
/// owner                           other
/// SENT -> LEFT                    grace periods: LEFT: 0 -> F, IDLE
/// give 2 back: look; LEFT: past the ring, or IDLE: into it
/// flush: look; give back what is ready
/// ```
///
/// Rule 18. Two threads, at most 5 preemptions. Fails with a page that never comes home when the fragment is put in
/// front of what the callback gives back, be it that the handle does not ask whether that is under way or
/// asks once more after its look.
#[test]
fn give_back_against_the_callback() {
    explore_within::<128, _>(Some(5), 2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let mut local: Handle2 = local(&mm);
        let [frag, more, unseen] = [0; 3].map(|_| take_by(&mut local).unwrap());
        retire_by(&mut local, frag);
        retire_by(&mut local, more);
        let other = spawn(move || {
            try_grace_period();
        });
        local.flush();
        give_back_by(&mut local, unseen);
        local.flush();
        other.join().unwrap();
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

/// The mm is dropped while another thread goes on with its handle.
///
/// ```text
/// setup   0, 1 used, from the handle; one more page at the source
/// owner                           handle
/// lock; closed; unlock            retire 0; flag?
/// unpin                           take: call; lock; closed: nothing, or a page of the source's
/// flag (no edge)                  retire 1; grace period; drop
/// ```
///
/// Rules 11 and 18. Two threads, exhaustive. Fails when the handle does not pin the head, and when
/// a claim does not look whether the mm is closed: with the flag seen it must give nothing.
#[test]
fn mm_dropped_under_a_handle() {
    explore::<128>(2, 2, || {
        let mm: Mm2 = mm();
        let mut local: Handle2 = local(&mm);
        let [first, last] = [take_by(&mut local).unwrap(), take_by(&mut local).unwrap()];
        let closed = Shared::new(AtomicBool::new(false));
        let other = spawn(move || {
            retire_by(&mut local, first);
            let late = closed.load(Ordering::Relaxed);
            let next = take_by(&mut local);
            assert!(!late || next.is_none(), "a closed mm gave a fragment");
            next.into_iter().chain([last]).for_each(|frag| retire_by(&mut local, frag));
            try_grace_period();
            drop(local);
        });
        drop(mm);
        closed.store(true, Ordering::Relaxed);
        other.join().unwrap();
        closed.end();
    });
}
