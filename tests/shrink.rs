//! Letting go of the empty pages of an mm that has many.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering};

use common::{
    Manual,
    counted::{AFTER, BEFORE, Counted, LOCKED, REFUSE},
};
use ptfrag::{Frag, Mm, Region};

type Two = Mm<2, 2048, Counted>;

/// The tests count the same locks, so they take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every second page is empty: the list is gone through once, in holds of the lock that do not grow.
#[test]
fn the_list_is_gone_through_once() {
    let _alone = alone();
    const PAGES: usize = 2400;
    let (rcu, region) = (Manual::new(), Region::new(PAGES).unwrap());
    let mm = Two::new_in(rcu, region.clone(), ()).keeping(PAGES as u32);
    // The two of one page are neighbours.
    let frags: Vec<_> = (0..2 * PAGES).map(|_| mm.alloc().unwrap()).collect();
    let mut kept = Vec::new();
    for (nth, frag) in frags.into_iter().enumerate() {
        if nth % 4 == 0 { kept.push(frag) } else { drop(frag) }
    }
    rcu.run_down();
    let before = LOCKED.load(Ordering::Relaxed);
    assert_eq!(mm.shrink(), PAGES / 2);
    let holds = LOCKED.load(Ordering::Relaxed) - before;
    // 16 pages in each that sends some, 64 looked at in each that does not.
    assert!(holds <= PAGES / 2 / 16 + PAGES / 64 + 2, "{holds} holds of the lock");
    assert_eq!(mm.shrink(), 0);
    drop((kept, mm));
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// The page at which the walk stands goes home between two holds, and comes back as another mm's.
#[test]
fn the_walk_loses_its_page() {
    let _alone = alone();
    let (rcu, region) = (Manual::new(), Region::new(200).unwrap());
    let mm = Two::new_in(rcu, region.clone(), ()).keeping(20);
    let other: &Two = Box::leak(Box::new(Two::new_in(rcu, region.clone(), ())));
    // The pages are listed, the last one in front; the first 20 are empty, and as many are kept.
    let frags: Vec<_> = (0..2 * 120).map(|_| mm.alloc().unwrap()).collect();
    let mut halves = Vec::new();
    for (nth, frag) in frags.into_iter().enumerate() {
        if nth % 2 == 0 && nth / 2 >= 20 { halves.push(frag) } else { drop(frag) }
    }
    // The first page that is not looked at in the first hold.
    let at = halves.remove(halves.len() - 65);
    let addr = at.as_ptr();
    AFTER.set(Some(Box::new(move || {
        at.give_back();
        rcu.run_down();
        assert_eq!(other.alloc().unwrap().into_raw(), addr, "the page that came home last");
        assert!(other.page_word(addr).unwrap().is_listed());
    })));
    assert_eq!(mm.shrink(), 20);
    rcu.run_down();
    assert_eq!(mm.pages(), 99);
    drop((halves, mm));
    rcu.run_down();
    assert_eq!((region.pages_out(), other.pages()), (1, 1));
}

/// A callback that would keep its page and does not get the lock comes again, and the place is there.
#[test]
fn a_callback_that_comes_again_keeps_its_page() {
    let _alone = alone();
    let (rcu, region) = (Manual::new(), Region::new(2).unwrap());
    let mm = Two::new_in(rcu, region.clone(), ()).keeping(1);
    Frag::retire_all([mm.alloc().unwrap(), mm.alloc().unwrap()]);
    REFUSE.set(true);
    assert_eq!((rcu.grace_period(), rcu.grace_period()), (1, 1));
    REFUSE.set(false);
    rcu.run_down();
    assert_eq!((mm.pages(), mm.shrink()), (1, 1));
    drop(mm);
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// While a give-back that would list its page waits for the lock, another lists it: what then makes the
/// page empty still finds the place for it.
#[test]
fn a_place_is_found_under_the_lock() {
    let _alone = alone();
    let (rcu, region) = (Manual::new(), Region::new(2).unwrap());
    let mm: &Two = Box::leak(Box::new(Two::new_in(rcu, region, ()).keeping(1)));
    let [first, second] = [(); 2].map(|()| mm.alloc().unwrap());
    BEFORE.set(Some(Box::new(move || second.give_back())));
    first.give_back();
    rcu.run_down();
    assert_eq!((mm.pages(), mm.shrink()), (1, 1));
}
