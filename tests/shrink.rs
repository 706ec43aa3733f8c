//! Letting go of the empty pages of an mm that has many.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::{
    cell::{Cell, RefCell},
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use common::{Manual, ManualGuard};
use ptfrag::{Embed, Frag, Mm, RawLock, Rcu, RcuFn, RcuHead, Region, SpinLock};

thread_local! {
    /// What is to be done before this thread enters a section, and how many it enters before that.
    static BETWEEN: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static SKIP: Cell<usize> = const { Cell::new(0) };
    /// Whether somebody else seems to hold every lock.
    static REFUSE: Cell<bool> = const { Cell::new(false) };
}
static HOLDS: AtomicUsize = AtomicUsize::new(0);

/// Grace periods by hand; a shrink enters a section for each hold of the lock, and before that something
/// can happen.
#[derive(Clone, Copy)]
struct Interrupted(Manual);

// SAFETY: the one inside does it all.
unsafe impl Rcu for Interrupted {
    type Guard = ManualGuard;

    fn read(self) -> ManualGuard {
        if SKIP.get() > 0 {
            SKIP.set(SKIP.get() - 1);
        } else {
            let between = BETWEEN.with_borrow_mut(Option::take);
            between.into_iter().for_each(|between| between());
        }
        self.0.read()
    }

    fn covers(self, guard: &ManualGuard) -> bool {
        self.0.covers(guard)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.call(head, func) };
    }
}

/// A lock that counts.
struct Counting(SpinLock);

// SAFETY: the lock inside does it all.
unsafe impl RawLock for Counting {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        HOLDS.fetch_add(1, Ordering::Relaxed);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        !REFUSE.get() && self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }
}

struct Parts;

impl Embed for Parts {
    type Rcu = Interrupted;
    type Source = Region<4096>;
    type Lock = Counting;
    type Hooks = ();
}

type Two = Mm<2, 2048, Parts>;

/// Every second page is empty: the list is gone through once, in holds of the lock that do not grow.
#[test]
fn the_list_is_gone_through_once() {
    const PAGES: usize = 2400;
    let (rcu, region) = (Manual::new(), Region::new(PAGES).unwrap());
    let mm = Two::new_in(Interrupted(rcu), region.clone(), ()).keeping(PAGES as u32);
    // The two of one page are neighbours.
    let frags: Vec<_> = (0..2 * PAGES).map(|_| mm.alloc().unwrap()).collect();
    let mut kept = Vec::new();
    for (nth, frag) in frags.into_iter().enumerate() {
        if nth % 4 == 0 { kept.push(frag) } else { drop(frag) }
    }
    rcu.run_down();
    let before = HOLDS.load(Ordering::Relaxed);
    assert_eq!(mm.shrink(), PAGES / 2);
    let holds = HOLDS.load(Ordering::Relaxed) - before;
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
    let (rcu, region) = (Manual::new(), Region::new(200).unwrap());
    let mm = Two::new_in(Interrupted(rcu), region.clone(), ()).keeping(20);
    let other: &Two = Box::leak(Box::new(Two::new_in(Interrupted(rcu), region.clone(), ())));
    // The pages are listed, the last one in front; the first 20 are empty, and as many are kept.
    let frags: Vec<_> = (0..2 * 120).map(|_| mm.alloc().unwrap()).collect();
    let mut halves = Vec::new();
    for (nth, frag) in frags.into_iter().enumerate() {
        if nth % 2 == 0 && nth / 2 >= 20 { halves.push(frag) } else { drop(frag) }
    }
    // The last page that is looked at in the first hold.
    let at = halves.remove(halves.len() - 64);
    let addr = at.as_ptr();
    SKIP.set(1);
    BETWEEN.set(Some(Box::new(move || {
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
    let (rcu, region) = (Manual::new(), Region::new(2).unwrap());
    let mm = Two::new_in(Interrupted(rcu), region.clone(), ()).keeping(1);
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
