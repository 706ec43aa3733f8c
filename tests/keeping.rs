//! Empty pages that an mm keeps.

mod common;

use common::{Bench, ByHand};
use ptfrag::{AllocError, Mm};

type Kept = Bench<4, 1024, 4096>;

fn keeping(pages: u32) -> Kept {
    let mut bench = Kept::new(20);
    bench.mm = bench.mm.take().map(|mm: Mm<4, 1024, ByHand<4096>>| mm.keeping(pages));
    bench
}

#[test]
fn an_mm_that_is_emptied_again_and_again() {
    for (keep, pages_in) in [(0, 10), (1, 1)] {
        let bench = keeping(keep);
        for _ in 0..10 {
            bench.take(1).into_iter().for_each(|frag| frag.give_back());
        }
        let seen = bench.book.0.pages_in.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(seen, pages_in);
        assert_eq!(bench.mm().shrink(), keep as usize);
        bench.expect_home();
    }
}

#[test]
fn shrink_sends_the_empty_ones_home() {
    let bench = keeping(20);
    let mut frags = bench.take(80);
    assert_eq!(bench.mm().alloc().err(), Some(AllocError));
    // One fragment stays on the first page, and the others go in three ways.
    let first = frags.remove(0);
    let retired = frags.split_off(40);
    common::Piece::retire_all(retired);
    common::Piece::give_back_all(frags);
    bench.rcu.run_down();
    assert_eq!(bench.mm().pages(), 20);
    assert_eq!(bench.mm().shrink(), 19);
    assert_eq!(bench.mm().shrink(), 0);
    bench.rcu.run_down();
    assert_eq!((bench.mm().pages(), bench.region.pages_out()), (1, 1));
    drop(first);
    assert_eq!(bench.mm().shrink(), 1);
    bench.expect_home();
}

/// More pages than that are not kept.
#[test]
fn the_bound() {
    let bench = keeping(3);
    let mut frags = bench.take(40);
    while !frags.is_empty() {
        common::Piece::give_back_all(frags.split_off(frags.len() - 4));
        bench.rcu.run_down();
    }
    assert_eq!(bench.mm().pages(), 3);
    let frags = bench.take(12);
    common::Piece::retire_all(frags);
    bench.rcu.run_down();
    assert_eq!(bench.mm().pages(), 3);
}

/// What is kept goes home with the mm.
#[test]
fn close() {
    let mut bench = keeping(20);
    let (frags, late) = (bench.take(40), bench.take(4));
    common::Piece::retire_all(frags);
    bench.rcu.run_down();
    assert_eq!(bench.mm().pages(), 11);
    bench.mm = None;
    bench.rcu.run_down();
    assert_eq!(bench.region.pages_out(), 1);
    common::Piece::retire_all(late);
    bench.expect_home();
}
