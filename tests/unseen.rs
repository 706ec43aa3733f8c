//! Fragments that are given back through a handle: no reader has seen them.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::collections::HashSet;

use common::{Bench, Dice};
use ptfrag::{Frag, Local, Mm, OwnedDomain, Region};

type Sixteen = Bench<16, 256, 4096>;

/// The next allocation is what was given back last, and nothing else is touched.
#[test]
fn the_last_one_back_is_the_first_to_go() {
    let bench = Sixteen::new(4);
    let mut local = bench.mm().local();
    let frags: Vec<_> = (0..40).map(|_| local.alloc().unwrap()).collect();
    let addrs: Vec<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
    let calls = bench.rcu.calls();
    frags.into_iter().for_each(|frag| local.give_back(frag));
    let again: Vec<_> = addrs.iter().map(|_| local.alloc().unwrap()).collect();
    assert!(again.iter().rev().map(|frag| frag.as_ptr()).eq(addrs));
    assert_eq!(bench.rcu.calls(), calls);
    drop((again, local));
    bench.expect_home();
}

/// However the calls come back, and whatever was flushed, nothing is lost or handed out twice.
#[test]
fn among_everything_else() {
    for seed in 0..40 {
        let dice = Dice::new(seed * 7 + 1);
        let bench = Sixteen::new(200);
        let mut locals: Vec<_> = (0..2).map(|_| bench.mm().local()).collect();
        let mut out: Vec<Frag<16, 256, _>> = Vec::new();
        let mut known = HashSet::new();
        for _ in 0..8000 {
            let local = &mut locals[dice.below(2)];
            let full = out.len() >= 900;
            match dice.below(100) {
                0..=44 if !full => {
                    let frag = local.alloc().unwrap();
                    assert!(known.insert(frag.as_ptr()), "handed out twice");
                    out.push(frag);
                }
                0..=84 if !out.is_empty() => {
                    let frag = out.swap_remove(dice.below(out.len()));
                    known.remove(&frag.as_ptr());
                    if dice.below(3) == 0 { local.retire(frag) } else { local.give_back(frag) }
                }
                85..=96 => assert!(bench.rcu.grace_period() < 1000),
                97..=98 => local.flush(),
                _ if dice.below(20) == 0 => *local = bench.mm().local(),
                _ => {}
            }
        }
        out.into_iter().for_each(|frag| locals[0].give_back(frag));
        drop(locals);
        bench.expect_home();
    }
}

/// One that only gives back what others allocate keeps no more than it says, and goes on.
#[test]
fn a_handle_that_allocates_nothing() {
    let bench = Sixteen::new(300);
    let mut local = bench.mm().local();
    for _ in 0..20 {
        let frags = bench.take(1000);
        frags.into_iter().for_each(|frag| local.give_back(frag));
        let most = Local::<16, 256, common::ByHand<4096>>::HOLDS;
        bench.rcu.run_down();
        assert!(bench.mm().pages() <= most, "{} pages", bench.mm().pages());
    }
    local.flush();
    bench.expect_home();
}

/// It goes back to its own page at once.
#[test]
fn of_another_mm() {
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(4).unwrap();
    let [first, second] = [(), ()].map(|()| Mm::<16, 256, _>::new(&domain, region.clone()));
    let mut local = first.local();
    local.give_back(second.alloc().unwrap());
    (0..4).for_each(|_| domain.barrier());
    assert_eq!((first.pages(), second.pages()), (0, 0));
    local.give_back(first.alloc().unwrap());
    (0..4).for_each(|_| domain.barrier());
    assert_eq!((first.pages(), second.pages()), (1, 0));
}

/// A handle that is nearly full of what waits and of what is ready has room for as many as it says.
#[test]
fn a_full_handle() {
    const HOLDS: usize = Local::<16, 256, common::ByHand<4096>>::HOLDS;
    for spare in 0..40 {
        let bench = Sixteen::new(200);
        let mut local = bench.mm().local();
        let mut out: Vec<_> = (0..3 * HOLDS).map(|_| local.alloc().unwrap()).collect();
        let some = |out: &mut Vec<_>| out.pop().unwrap();
        // A call comes back, and what it was for is ready; another one is in flight.
        (0..200).for_each(|_| local.retire(some(&mut out)));
        bench.rcu.run_down();
        (0..HOLDS - 200 - spare).for_each(|_| local.retire(some(&mut out)));
        for _ in 0..40 {
            local.give_back(some(&mut out));
            local.retire(some(&mut out));
        }
        drop((out, local));
        bench.expect_home();
    }
}

/// Where all that a full handle holds waits for a grace period, there is no room for what is given back.
#[test]
fn a_full_handle_that_waits() {
    const HOLDS: usize = Local::<16, 256, common::ByHand<4096>>::HOLDS;
    let bench = Sixteen::new(200);
    let mut local = bench.mm().local();
    let mut out: Vec<_> = (0..2 * HOLDS).map(|_| local.alloc().unwrap()).collect();
    let retired = out.split_off(HOLDS);
    retired.into_iter().for_each(|frag| local.retire(frag));
    out.into_iter().for_each(|frag| local.give_back(frag));
    drop(local);
    bench.expect_home();
}

/// What one handle has too much of another one gets, the words of the pages untouched, and in the fragments
/// nothing is left of the links.
#[test]
fn passed_on_to_another_handle() {
    const HOLDS: usize = Local::<16, 256, common::ByHand<4096>>::HOLDS;
    let bench = Sixteen::new(200);
    let [mut first, mut second] = [(), ()].map(|()| bench.mm().local());
    let mut frags: Vec<_> = (0..2 * HOLDS).map(|_| first.alloc().unwrap()).collect();
    let (pages, known) = (bench.mm().pages(), frags.iter().map(|frag| frag.as_ptr()));
    let known: HashSet<_> = known.collect();
    frags.iter_mut().for_each(|frag| frag.fill(7));
    frags.drain(..HOLDS).for_each(|frag| second.give_back(frag));
    // A few places are kept for what is retired, so it is less than half of `HOLDS`.
    let again: Vec<_> = (0..HOLDS / 2 - 16).map(|_| first.alloc().unwrap()).collect();
    assert!(again.iter().all(|frag| known.contains(&frag.as_ptr())));
    assert!(again.iter().all(|frag| frag[..16] == [0; 16] && frag[16..] == [7; 240]));
    assert_eq!(bench.mm().pages(), pages);
    // What nobody takes goes to its pages with the last handle, and also with one that is flushed.
    again.into_iter().chain(frags).for_each(|frag| second.give_back(frag));
    second.flush();
    drop((first, second));
    bench.expect_home();
}

/// A handle with little room takes what was passed on as far as it goes, and one with none leaves it.
#[test]
fn passed_on_to_a_handle_that_is_nearly_full() {
    const HOLDS: usize = Local::<16, 256, common::ByHand<4096>>::HOLDS;
    for waits in [HOLDS, HOLDS - 1, HOLDS - 100, HOLDS / 2] {
        let bench = Sixteen::new(300);
        let [mut first, mut second] = [(), ()].map(|()| bench.mm().local());
        let mut frags: Vec<_> = (0..3 * HOLDS).map(|_| first.alloc().unwrap()).collect();
        frags.drain(..waits).for_each(|frag| first.retire(frag));
        frags.drain(..2 * HOLDS).for_each(|frag| second.give_back(frag));
        let again: HashSet<_> = (0..HOLDS).map(|_| first.alloc().unwrap().into_raw()).collect();
        assert_eq!(again.len(), HOLDS);
        for frag in again {
            // SAFETY: let go above.
            first.give_back(unsafe { bench.mm().from_raw(frag) });
        }
        drop((frags, first, second));
        bench.expect_home();
    }
}

/// What waits for another handle serves whoever finds the source empty: also without a handle, and through one
/// that has no room for it.
#[test]
fn passed_on_to_whoever_needs_it() {
    const HOLDS: usize = Local::<16, 256, common::ByHand<4096>>::HOLDS;
    for through_a_handle in [false, true] {
        let bench = Sixteen::new(3 * HOLDS / 16);
        let [mut first, mut second] = [(), ()].map(|()| bench.mm().local());
        let mut frags: Vec<_> = (0..3 * HOLDS).map(|_| bench.mm().alloc().unwrap()).collect();
        assert!(bench.mm().alloc().is_err());
        // Its call is in flight, so it has no room in front.
        frags.drain(..18).for_each(|frag| second.retire(frag));
        second.flush();
        frags.drain(..HOLDS).for_each(|frag| first.give_back(frag));
        let again: Vec<_> = (0..HOLDS / 4)
            .map(|_| if through_a_handle { second.alloc() } else { bench.mm().alloc() })
            .collect::<Result<_, _>>()
            .unwrap();
        drop((again, frags, first, second));
        bench.expect_home();
    }
}
