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
use ptfrag::{AllocError, Hooks, Mm, Region};

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
