//! What the contracts of the embedder's parts ask, of those parts that there are.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::{
    mem,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use common::{ByHand, Manual};
use ptfrag::{
    AllocError, Hooks, Mm, OwnedDomain, PageDesc, PageSource, RawLock, Rcu, RcuHead, Region,
    SpinLock,
};

/// A callback that comes upon the holder on its own thread or processor must not get in.
#[test]
fn the_lock_is_not_reentrant() {
    let lock = SpinLock::new();
    assert!(lock.try_lock());
    assert!(!lock.try_lock(), "the same thread");
    thread::scope(|scope| scope.spawn(|| assert!(!lock.try_lock(), "another one")).join().unwrap());
    // SAFETY: locked above.
    unsafe { lock.unlock() };
    lock.lock();
    assert!(!lock.try_lock());
    // SAFETY: locked just now.
    unsafe { lock.unlock() };
}

static RAN: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn ran(_: NonNull<RcuHead>) {
    RAN.store(true, Ordering::Relaxed);
}

/// A guard ends when it is dropped: not when it moves, nor when others come and go in the meantime.
#[test]
fn a_guard_ends_only_when_it_is_dropped() {
    let head = RcuHead::new();
    let domain = OwnedDomain::new();
    let rcu = &*domain;
    let settle = || assert!((0..20).map(|_| domain.poll()).sum::<usize>() <= 1);
    let mut guard = Rcu::read(rcu);
    // SAFETY: the head outlives the domain's last callback, and nobody else uses it.
    unsafe { rcu.call(NonNull::from(&head), ran) };
    let mut other = Rcu::read(rcu);
    mem::swap(&mut guard, &mut other);
    let guard = Box::new(guard);
    drop(other);
    thread::scope(|scope| scope.spawn(settle).join().unwrap());
    assert!(!RAN.load(Ordering::Relaxed), "the first guard is in the box");
    drop(guard);
    settle();
    assert!(RAN.load(Ordering::Relaxed));
}

/// Hooks that write all of a page, and users that read all of a fragment.
struct Fills;

impl Fills {
    fn fill(page: NonNull<u8>, with: u8) {
        // SAFETY: the page is the hook's while it runs.
        unsafe { page.write_bytes(with, 4096) };
    }
}

impl Hooks for Fills {
    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        Self::fill(page, 1);
        Ok(())
    }

    fn page_out(&self, page: NonNull<u8>) {
        Self::fill(page, 2);
    }
}

#[test]
fn hooks_may_write_the_whole_page() {
    let (rcu, region) = (Manual::new(), Region::new(1).unwrap());
    let mm = Mm::<4, 1024, ByHand<4096, Fills>>::new_in(rcu, region.clone(), Fills);
    for _ in 0..3 {
        let frag = mm.alloc().unwrap();
        assert!(frag.iter().all(|byte| *byte == 1));
        frag.retire();
        rcu.run_down();
        let page = region.get().unwrap();
        // SAFETY: the page is from this region.
        let first = unsafe { region.addr(page) };
        // SAFETY: the page is out, and its bytes are initialised.
        assert_eq!(unsafe { first.read() }, 2);
        // SAFETY: taken above.
        unsafe { region.put(page) };
    }
}

/// A source leaves the page words alone, also where it keeps links in the descriptors: late lookers
/// find the word as the last mm left it.
#[test]
fn the_source_leaves_the_words_alone() {
    let (rcu, region) = (Manual::new(), Region::<4096>::new(3).unwrap());
    let mm = Mm::<4, 1024, ByHand<4096, ()>>::new_in(rcu, region.clone(), ());
    let frags: Vec<_> = (0..12).map(|_| mm.alloc().unwrap()).collect();
    let addrs: Vec<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
    drop(frags);
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
    let all_zero =
        || addrs.iter().all(|&addr| mm.page_word(addr).is_some_and(|word| word.bits() == 0));
    assert!(all_zero());
    for _ in 0..2 {
        let pages = [(); 3].map(|()| region.get().unwrap());
        assert!(all_zero(), "after get");
        // SAFETY: taken above, once each.
        pages.into_iter().for_each(|page| unsafe { region.put(page) });
        assert!(all_zero(), "after put");
    }
}

/// The link of a free page, by hand.
#[test]
fn a_link_is_what_was_set() {
    let (first, second) = (PageDesc::new(), PageDesc::new());
    // SAFETY: these descriptors are of no page that is out, and nobody else has them.
    unsafe { first.set_link(Some(NonNull::from(&second))) };
    // SAFETY: as above.
    assert!(unsafe { first.link() }.is_some_and(|page| ptr::eq(page.as_ptr(), &second)));
    // SAFETY: as above.
    unsafe { first.set_link(None) };
    // SAFETY: as above.
    assert!(unsafe { first.link() }.is_none());
}
