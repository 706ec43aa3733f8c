//! Weak exchanges that fail for no reason, which loom never plays by itself. Each model is run with
//! no such failure, with one at each of the first exchanges after its setup, and with each two of
//! them; a failure reads anew, and may read what was expected.
//!
//! They also undo a limit of loom: it looks for other orders of two accesses only from the last
//! access of a word, so the load at the start of a loop can hide what conflicts with its exchange.
//! After a failure the exchange comes without such a load of its own. The loops cannot be
//! begun with a guess instead, since the transitions judge what they are given: a fragment that a
//! guess does not show as used is a panic.

use std::sync::Arc;

use loom::thread;
use ptfrag::{plan_weak_failures, take_weak_failures};

use crate::{domain::World, support::*};

/// No failure, one, or two, among the first `exchanges`.
fn plans(exchanges: u32) -> Vec<u64> {
    (0..1_u64 << exchanges).filter(|plan| plan.count_ones() <= 2).collect()
}

/// Plays a scene on a page of four for each plan; it begins with its setup, which it is given to
/// end by setting the plan.
fn explore_failing<S: Fn(u64) + Send + Sync + 'static>(
    bound: Option<usize>,
    exchanges: u32,
    scene: S,
) {
    check_planned::<S>(2, bound, &plans(exchanges), move |plan| {
        let stage = Stage::set(2, 1, 256);
        scene(plan);
        let _ = take_weak_failures();
        stage.strike();
    });
}

/// A taker and a retirer, and the callback.
///
/// ```text
/// setup   page F = {3} listed, P = {0}; 1, 2 used
/// retirer                         other
/// CAS 1 -> X, or P (fails)        grace period: CAS 0 -> F (fails)
/// CAS 1 -> X, or P                CAS 0 -> F; take 0: CAS (fails); CAS
/// take 3 under the lock: CAS (fails); CAS
/// ```
///
/// Rule 1: what a failed exchange read says nothing of what somebody else did. Two threads,
/// exhaustive for every plan of at most two failures among six exchanges. Fails when `retire`,
/// `apply` or a take, with the lock or without, takes a failure that read the expected word for a
/// success: a page never comes home, or a fragment is handed out twice.
#[test]
fn retire_and_callback_that_fail() {
    explore_failing(at_length(None), 6, |plan| {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        plan_weak_failures(plan);
        let other = spawn(move || {
            retire(b);
            take(&mm, 0)
        });
        try_grace_period();
        let again = take(&mm, 0);
        let theirs = other.join().unwrap();
        again.into_iter().chain(theirs).chain([c]).for_each(retire);
        drop(mm.end());
    });
}

/// The list's exchanges under the lock: the page goes home, or its mm closes, and a taker is there.
///
/// ```text
/// setup   page F = {1, 2, 3} listed, 0 used
/// giver                           taker
/// lock; CAS 0 (fails); CAS        enter; CAS (fails), CAS; leave
/// unlink; home                    give it back
/// close: unlink; CAS (fails); CAS
/// ```
///
/// Rules 1 and 6. Two threads, at most 3 preemptions, for every plan of at most two failures among five
/// exchanges. Fails with a broken list when `unlist` does not repeat a failed exchange, and with a
/// page that never came home when `apply_locked` unlinks or links after one that read the expected
/// word.
#[test]
fn home_and_close_that_fail() {
    explore_failing(Some(3), 5, |plan| {
        let mm: Shared<Mm4> = Shared::new(mm());
        let last = take(&mm, 0).unwrap();
        plan_weak_failures(plan);
        let other = spawn(move || take(&mm, 0).into_iter().for_each(give_back));
        give_back(last);
        mm.close();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// An empty page that the mm keeps is let go of, and a taker is there.
///
/// ```text
/// setup   page F = {0, 1, 2, 3} listed, kept
/// shrinker                        taker
/// lock; CAS 0 (fails); CAS        enter; CAS (fails), CAS; leave
/// unlink; home                    retire it
/// ```
///
/// Rules 1 and 6. Two threads, at most 4 preemptions, for every plan of at most two failures among four
/// exchanges. Fails with a page that goes home under its taker when `take_empty` unlinks after a failed
/// exchange that read the expected word.
#[test]
fn shrink_that_fails() {
    explore_failing(Some(4), 4, |plan| {
        let mm: Shared<Mm4> = Shared::new(mm().keeping(1));
        give_back(take(&mm, 0).unwrap());
        plan_weak_failures(plan);
        let other = spawn(move || take(&mm, 0).into_iter().for_each(retire));
        mm.shrink();
        other.join().unwrap();
        drop(mm.end());
    });
}

/// Plays a scene of two threads with every plan of at most two failures among four exchanges.
fn explore_world<S: Fn(u64) + Send + Sync + 'static>(scene: S) {
    check_planned::<S>(2, at_length(Some(3)), &plans(4), scene);
}

/// The domain's own weak exchanges: the push of a head.
///
/// ```text
/// queuer                          poller
/// enter; look; leave              polls: advance, tag; advance; advance, callback
/// push (fails); push; end
/// ```
///
/// `call` never fails. Two threads, at most 3 preemptions, for every plan of at most two failures
/// among four exchanges. Fails with a callback that never ran when the push of a head takes a failure that read the
/// expected top for a success.
#[test]
fn pushes_that_fail() {
    explore_world(|plan| {
        let world = World::new();
        let other = Arc::clone(&world);
        plan_weak_failures(plan);
        let queuer = thread::spawn(move || {
            other.look();
            other.retire();
        });
        world.poll(3);
        queuer.join().unwrap();
        let _ = take_weak_failures();
        world.domain.barrier();
        assert!(world.value.ran(), "a callback that never ran");
    });
}

/// The claim of a record that a thread has left.
///
/// ```text
/// setup   a thread has come, and ended
/// one                             another
/// claim its record (fails);       claim it (fails); make one
///   claim it
/// enter; look; read; leave        enter; look; read; leave
/// ```
///
/// Two threads, at most 3 preemptions, for every plan of at most two failures among four exchanges. Fails with a race on
/// what is the owner's alone when the claim takes a failure that read the expected first record for a success.
#[test]
fn claims_that_fail() {
    explore_world(|plan| {
        let world = World::new();
        let [first, one, another] = [(); 3].map(|()| Arc::clone(&world));
        thread::spawn(move || first.look()).join().unwrap();
        plan_weak_failures(plan);
        let threads = [one, another].map(|world| thread::spawn(move || world.look()));
        for thread in threads {
            thread.join().unwrap();
        }
        let _ = take_weak_failures();
    });
}
