//! What hooks may do, and what becomes of a page whose constructor fails.

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{ByHand, Manual};
use ptfrag::{AllocError, Frag, Hooks, Mm, Region};

static MM: OnceLock<Mm<4, 1024, ByHand<4096, Reentrant>>> = OnceLock::new();
static RECLAIMED: AtomicUsize = AtomicUsize::new(0);

/// For each of the first ten fragments that come back, takes one, gives one back and retires one.
struct Reentrant;

impl Hooks for Reentrant {
    fn reclaim(&self, _: NonNull<u8>) {
        if RECLAIMED.fetch_add(1, Ordering::Relaxed) < 10 {
            let mm = MM.get().expect("set before the first retirement");
            let [first, second] = [(), ()].map(|()| mm.alloc().expect("pages enough"));
            first.give_back();
            second.retire();
        }
    }
}

#[test]
fn reclaim_may_use_the_mm() {
    let (rcu, region) = (Manual::new(), Region::new(16).unwrap());
    let mm = MM.get_or_init(|| Mm::new_in(rcu, region.clone(), Reentrant));
    mm.alloc().unwrap().retire();
    rcu.run_down();
    assert_eq!(RECLAIMED.load(Ordering::Relaxed), 11);
    assert_eq!(region.pages_out(), 0);
}

/// A constructor that panics.
struct Panics;

impl Hooks for Panics {
    fn page_in(&self, _: NonNull<u8>) -> Result<(), AllocError> {
        panic!("no page today");
    }
}

#[test]
fn a_constructor_that_panics_loses_no_page() {
    let region = Region::new(1).unwrap();
    let mm = Mm::<4, 1024, ByHand<4096, Panics>>::new_in(Manual::new(), region.clone(), Panics);
    assert!(catch_unwind(AssertUnwindSafe(|| mm.alloc())).is_err());
    assert_eq!((mm.pages(), region.pages_out()), (0, 0));
}

/// A destructor that panics for the first page.
#[derive(Default)]
struct PanicsOnce(AtomicUsize);

impl Hooks for PanicsOnce {
    fn page_out(&self, _: NonNull<u8>) {
        assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), 0, "this page stays");
    }
}

/// An mm of three pages of which `KEEP` may stay when they are empty, with all of their fragments.
fn three_pages(keep: u32) -> (Region, Mm<4, 1024, ByHand<4096, PanicsOnce>>) {
    let region = Region::new(3).unwrap();
    let hooks = PanicsOnce::default();
    (region.clone(), Mm::new_in(Manual::new(), region, hooks).keeping(keep))
}

#[test]
fn a_destructor_that_panics_loses_no_page() {
    type Token = Frag<4, 1024, ByHand<4096, PanicsOnce>>;
    let one_by_one = |frags: Vec<Token>| {
        for frag in frags {
            // The rest goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(frag)));
        }
        panic!("one of them did");
    };
    let ways: [fn(Vec<Token>); 2] = [one_by_one, Frag::give_back_all];
    for way in ways {
        let (region, mm) = three_pages(0);
        let frags: Vec<_> = (0..12).map(|_| mm.alloc().unwrap()).collect();
        assert_eq!(region.pages_out(), 3);
        assert!(catch_unwind(AssertUnwindSafe(|| way(frags))).is_err());
        assert_eq!((mm.pages(), region.pages_out()), (0, 0));
    }

    let (region, mm) = three_pages(3);
    drop((0..12).map(|_| mm.alloc().unwrap()).collect::<Vec<_>>());
    assert_eq!(region.pages_out(), 3);
    assert!(catch_unwind(AssertUnwindSafe(|| mm.shrink())).is_err());
    assert_eq!((mm.pages(), region.pages_out()), (0, 0));
}

#[test]
fn an_mm_whose_destructor_panics_is_dropped_as_a_whole() {
    let (region, mm) = three_pages(3);
    let frags: Vec<_> = (0..12).map(|_| mm.alloc().unwrap()).collect();
    drop(frags);
    assert_eq!(region.pages_out(), 3);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(mm))).is_err());
    assert_eq!(region.pages_out(), 0);
}

#[test]
fn a_close_whose_destructor_panics_goes_on() {
    let (region, mm) = three_pages(3);
    drop((0..12).map(|_| mm.alloc().unwrap()).collect::<Vec<_>>());
    assert!(catch_unwind(AssertUnwindSafe(|| mm.close())).is_err());
    assert_eq!((mm.pages(), region.pages_out()), (0, 0));
}
