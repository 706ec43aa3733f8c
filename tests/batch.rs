//! Many fragments freed at once.

mod common;

use std::sync::atomic::Ordering;

use common::{
    Bench, Manual, Piece,
    counted::{Counted, LOCKED},
};
use ptfrag::{Frag, Mm, Region};

/// Of 64 pages, 16 at a time go on the list in one hold of the lock, and leave it likewise.
#[test]
fn pages_share_a_hold_of_the_lock() {
    let (rcu, region) = (Manual::new(), Region::new(64).unwrap());
    let mm: Mm<4, 1024, Counted> = Mm::new_in(rcu, region.clone(), ());
    let mut pages: Vec<Vec<_>> =
        (0..64).map(|_| (0..4).map(|_| mm.alloc().unwrap()).collect()).collect();
    let holds = |frags: Vec<Frag<4, 1024, Counted>>| {
        let before = LOCKED.load(Ordering::Relaxed);
        Frag::give_back_all(frags);
        LOCKED.load(Ordering::Relaxed) - before
    };
    let one_of_each = |pages: &mut Vec<Vec<_>>| pages.iter_mut().filter_map(Vec::pop).collect();
    assert_eq!(holds(one_of_each(&mut pages)), 4, "on the list");
    assert_eq!(holds(one_of_each(&mut pages)), 0, "without a change of the list");
    assert_eq!(holds(pages.into_iter().flatten().collect()), 4, "off the list");
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// Fragments of two mms go back to their own.
#[test]
fn of_two_mms() {
    let (one, two) = (Bench::<2, 64, 128>::new(8), Bench::<2, 64, 128>::new(8));
    let halves = |bench: &Bench<2, 64, 128>| -> (Vec<_>, Vec<_>) {
        (0..8).map(|_| <[_; 2]>::try_from(bench.take(2)).unwrap().into()).unzip()
    };
    let ((ones, ones_kept), (twos, twos_kept)) = (halves(&one), halves(&two));
    let mixed = ones.into_iter().zip(twos).flat_map(<[_; 2]>::from);
    Piece::give_back_all(mixed);
    for (bench, mut kept) in [(&one, ones_kept), (&two, twos_kept)] {
        kept.extend(bench.take(8));
        for frag in kept {
            // SAFETY: the token is gone. A fragment of another mm is a panic.
            unsafe { bench.mm().retire_raw(frag.into_raw()) };
        }
        bench.expect_home();
    }
}

/// What comes back after the close goes on no list.
#[test]
fn after_the_close() {
    let mut bench = Bench::<4, 64, 256>::new(40);
    let frags = bench.take(160);
    bench.mm = None;
    Piece::give_back_all(frags);
    bench.expect_home();
}

/// What an iterator had given before it panicked is freed.
#[test]
fn a_panic_on_the_way() {
    let bench = Bench::<4, 64, 256>::new(40);
    for free in [Piece::give_back_all, Piece::retire_all] {
        let frags = bench.take(160);
        let mut left = 100;
        let broken = frags.into_iter().inspect(move |_| {
            left -= 1;
            assert_ne!(left, 0, "enough");
        });
        let broken = Box::new(broken) as Box<dyn Iterator<Item = _>>;
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| free(broken)));
        assert!(caught.is_err());
        bench.expect_home();
    }
}

/// A fragment that is not used ends a batch by a panic, and the others in it are freed all the
/// same: wherever it stands, in the batches on the way as in the last.
#[test]
fn a_double_free_on_the_way() {
    for free in [Piece::give_back_all, Piece::retire_all] {
        for wrong in [0, 1, 39] {
            let bench = Bench::<2, 64, 128>::new(40);
            let mut frags = bench.take(80);
            let addr = frags[2 * wrong].as_ptr();
            // SAFETY: there are two tokens now, which is the point.
            unsafe { bench.mm().from_raw(addr) }.retire();
            // The second of each page: no two neighbours are of one page, so none shares the fate
            // of the one that is wrong.
            let seconds: Vec<_> = (0..40).map(|page| frags.remove(page + 1)).collect();
            let freeing = std::panic::AssertUnwindSafe(|| free(frags));
            assert!(std::panic::catch_unwind(freeing).is_err());
            drop(seconds);
            bench.expect_home();
        }
    }
}

/// Two of them are one panic, and no abort.
#[test]
fn two_double_frees_on_the_way() {
    for free in [Piece::give_back_all, Piece::retire_all] {
        let bench = Bench::<2, 64, 128>::new(8);
        let frags = bench.take(16);
        for wrong in [2, 6] {
            // SAFETY: there are two tokens now, which is the point.
            unsafe { bench.mm().from_raw(frags[wrong].as_ptr()) }.retire();
        }
        let freeing = std::panic::AssertUnwindSafe(|| free(frags));
        assert!(std::panic::catch_unwind(freeing).is_err());
        // Only those are left that would have shared a compare-and-swap with a wrong one.
        bench.rcu.run_down();
        assert_eq!(bench.mm().pages(), 2);
    }
}

/// Two tokens of one fragment in one batch do not pass for one.
#[test]
fn the_same_one_twice() {
    for free in [Piece::give_back_all, Piece::retire_all] {
        let bench = Bench::<2, 64, 128>::new(1);
        let mut frags = bench.take(2);
        let addr = frags[0].as_ptr();
        // SAFETY: there are two tokens now, which is the point.
        frags.push(unsafe { bench.mm().from_raw(addr) });
        let freeing = std::panic::AssertUnwindSafe(|| free(frags));
        assert!(std::panic::catch_unwind(freeing).is_err());
        bench.expect_home();
    }
}
