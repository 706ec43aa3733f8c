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

/// What is kept are empty pages, however many others are in use: nothing bounces at the bound.
#[test]
fn empty_ones_are_kept_beside_pages_in_use() {
    let bench = keeping(2);
    let in_use = bench.take(40);
    let pages_in = || bench.book.0.pages_in.load(std::sync::atomic::Ordering::SeqCst);
    for _ in 0..100 {
        drop(bench.take(1));
    }
    assert_eq!(pages_in(), 11);
    // Two are kept, and a third is not.
    for _ in 0..10 {
        drop(bench.take(12));
        bench.rcu.run_down();
        assert_eq!(bench.mm().pages(), 12);
    }
    assert_eq!(bench.mm().shrink(), 2);
    drop(in_use);
    bench.rcu.run_down();
    assert_eq!(bench.mm().shrink(), 2);
    bench.expect_home();
}

/// However a page that is kept is filled and emptied, its place is given up once: with any number of
/// rounds the mm keeps as many as it should.
#[test]
fn places_do_not_get_lost() {
    let bench = keeping(3);
    for round in 0..200 {
        let mut frags = bench.take(16 + round % 5);
        let mut local = bench.mm().local();
        frags.extend((0..round % 7).map(|_| local.alloc().unwrap()));
        let retired = frags.split_off(frags.len() / 2);
        if round % 3 == 0 {
            common::Piece::retire_all(retired);
            common::Piece::give_back_all(frags);
        } else {
            retired.into_iter().for_each(|frag| local.retire(frag));
            frags.into_iter().for_each(drop);
        }
        drop(local);
        if round % 11 == 0 {
            assert!(bench.mm().shrink() <= 3);
        }
        bench.rcu.run_down();
        assert!(bench.mm().pages() <= 3, "{} pages in round {round}", bench.mm().pages());
    }
    drop(bench.take(12));
    bench.rcu.run_down();
    assert_eq!((bench.mm().pages(), bench.mm().shrink()), (3, 3));
    bench.expect_home();
}

/// A handle that claims the page that is kept leaves its place to another.
#[test]
fn a_claim_gives_the_place_up() {
    let bench = keeping(1);
    let mut local = bench.mm().local();
    // Enough for a handle to claim pages, and no page has anything left.
    let frags: Vec<_> = (0..12).map(|_| local.alloc().unwrap()).collect();
    drop(bench.take(4));
    assert_eq!(bench.mm().pages(), 4);
    let claimed = local.alloc().unwrap();
    assert_eq!(bench.mm().pages(), 4);
    drop(bench.take(4));
    bench.rcu.run_down();
    assert_eq!(bench.mm().pages(), 5);
    drop((frags, claimed, local));
    bench.rcu.run_down();
    assert_eq!((bench.mm().pages(), bench.mm().shrink()), (1, 1));
    bench.expect_home();
}
