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

#[test]
fn of_another_mm() {
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(4).unwrap();
    let [first, second] = [(), ()].map(|()| Mm::<16, 256, _>::new(&domain, region.clone()));
    let mut local = first.local();
    local.give_back(second.alloc().unwrap());
    drop((local, first, second));
    (0..4).for_each(|_| domain.barrier());
    assert_eq!(region.pages_out(), 0);
}
