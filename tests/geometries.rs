//! Every geometry runs the same tests.

mod common;

use std::collections::BTreeSet;

use common::{Bench, Dice, Piece};
use ptfrag::AllocError;

fn fill_and_drain<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let bench = Bench::<N, SIZE, PAGE>::new(4);
    let frags = bench.take(3 * N + 1);
    assert_eq!((bench.mm().pages(), bench.region.pages_out()), (4, 4));
    let addrs: BTreeSet<_> = frags.iter().map(|frag| frag.as_ptr().addr().get()).collect();
    assert_eq!(addrs.len(), frags.len());
    assert!(addrs.iter().all(|addr| addr % SIZE == 0));
    for frag in frags {
        frag.retire();
    }
    assert_eq!(bench.mm().pages(), 4);
    bench.expect_home();
    assert_eq!(bench.mm().pages(), 0);
    assert_eq!(bench.book.0.reclaimed.lock().unwrap().values().sum::<usize>(), 3 * N + 1);
}

fn given_back_is_free_at_once<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let bench = Bench::<N, SIZE, PAGE>::new(1);
    let mut frags = bench.take(N);
    let addr = frags.pop().map(|frag| {
        let addr = frag.as_ptr();
        frag.give_back();
        addr
    });
    assert_eq!(bench.mm().alloc().map(|frag| frag.as_ptr()).ok(), addr);
    drop(frags);
    bench.expect_home();
    assert!(bench.book.0.reclaimed.lock().unwrap().is_empty());
}

/// What is retired while a grace period is in flight waits for the next one.
fn retired_waits<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let bench = Bench::<N, SIZE, PAGE>::new(1);
    let mut frags = bench.take(N);
    let (first, second) = (frags.remove(0), frags.remove(0));
    let [a, b] = [first.as_ptr(), second.as_ptr()];
    first.retire();
    assert_eq!(bench.mm().alloc().err(), Some(AllocError));
    second.retire();
    assert_eq!(bench.rcu.calls(), 1);
    assert_eq!(bench.rcu.grace_period(), 1);
    assert_eq!([a, b].map(|frag| bench.book.0.reclaimed(frag)), [1, 0]);
    let again = bench.mm().alloc().unwrap();
    assert_eq!(again.as_ptr(), a);
    assert_eq!(bench.mm().alloc().err(), Some(AllocError));
    assert_eq!(bench.rcu.grace_period(), 1);
    assert_eq!([a, b].map(|frag| bench.book.0.reclaimed(frag)), [1, 1]);
    assert_eq!(bench.mm().alloc().unwrap().as_ptr(), b);
    drop((again, frags));
    bench.expect_home();
}

/// An exhausted mm stays usable, and a later alloc succeeds.
fn exhaustion<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let bench = Bench::<N, SIZE, PAGE>::new(2);
    let mut frags = bench.take(2 * N);
    for _ in 0..3 {
        assert_eq!(bench.mm().alloc().err(), Some(AllocError));
        frags.pop().unwrap().retire();
        assert_eq!(bench.mm().alloc().err(), Some(AllocError));
        bench.rcu.grace_period();
        frags.push(bench.mm().alloc().unwrap());
    }
    *bench.book.0.refuse.lock().unwrap() = true;
    Piece::retire_all(frags);
    bench.expect_home();
    assert_eq!(bench.mm().alloc().err(), Some(AllocError), "the constructor refuses");
    *bench.book.0.refuse.lock().unwrap() = false;
    assert!(bench.mm().alloc().is_ok());
}

/// Batches cost a call and a compare-and-swap per page.
fn batches<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let bench = Bench::<N, SIZE, PAGE>::new(3);
    Piece::retire_all(bench.take(3 * N));
    assert_eq!(bench.rcu.calls(), 3);
    assert_eq!(bench.rcu.grace_period(), 3);
    assert_eq!(bench.mm().pages(), 0, "retired at once, so one grace period is enough");
    Piece::give_back_all(bench.take(2 * N));
    assert_eq!((bench.mm().pages(), bench.rcu.calls()), (0, 3), "home at once");
    bench.expect_home();
}

/// The mm goes while its fragments are out, pending and next in line.
fn dropped_early<const N: usize, const SIZE: usize, const PAGE: usize>() {
    for given_back in [false, true] {
        let mut bench = Bench::<N, SIZE, PAGE>::new(4);
        let mut frags = bench.take(3 * N + 1);
        frags.remove(0).retire();
        frags.remove(0).retire();
        frags.pop().unwrap().give_back();
        let slot = bench.mm().slot();
        slot.publish(frags.remove(0));
        bench.mm = None;
        bench.rcu.grace_period();
        for frag in frags {
            if given_back { frag.give_back() } else { frag.retire() }
        }
        bench.rcu.run_down();
        assert_eq!(bench.region.pages_out(), 1);
        drop(slot);
        bench.expect_home();
    }
}

/// Random operations against a list of what is owned; nothing is handed out twice or lost.
fn random_churn<const N: usize, const SIZE: usize, const PAGE: usize>() {
    for seed in 1..=20 {
        let dice = Dice::new(seed * 0x9e37_79b9);
        let mut bench = Bench::<N, SIZE, PAGE>::new(8);
        let mut owned = Vec::new();
        let mut retired = 0;
        for step in 0..4_000_usize {
            match dice.below(10) {
                0..5 => {
                    if let Ok(mut frag) = bench.mm().alloc() {
                        frag[..8].copy_from_slice(&step.to_ne_bytes());
                        frag[SIZE - 8..].copy_from_slice(&step.to_ne_bytes());
                        owned.push((step, frag));
                    }
                }
                5..8 if !owned.is_empty() => {
                    let (stamp, frag) = owned.swap_remove(dice.below(owned.len()));
                    assert_eq!(frag[..8], stamp.to_ne_bytes());
                    assert_eq!(frag[SIZE - 8..], stamp.to_ne_bytes());
                    retired += 1;
                    frag.retire();
                }
                8 if !owned.is_empty() => drop(owned.swap_remove(dice.below(owned.len()))),
                _ if dice.below(4) == 0 => drop(bench.rcu.grace_period()),
                _ => {}
            }
        }
        bench.rcu.run_down();
        // An empty page goes home, so each page that is left holds something.
        assert!(bench.mm().pages() <= owned.len());
        bench.mm = None;
        retired += owned.len();
        Piece::retire_all(owned.into_iter().map(|(_, frag)| frag));
        bench.expect_home();
        assert_eq!(bench.book.0.reclaimed.lock().unwrap().values().sum::<usize>(), retired);
    }
}

macro_rules! geometries {
    ($($name:ident: $frags:literal x $size:literal,)*) => {$(
        mod $name {
            const PAGE: usize = $frags * $size;
            geometries! { @test $frags $size
                fill_and_drain given_back_is_free_at_once retired_waits exhaustion batches
                dropped_early random_churn
            }
        }
    )*};
    (@test $frags:literal $size:literal $($test:ident)*) => {$(
        #[test]
        fn $test() {
            super::$test::<$frags, $size, PAGE>();
        }
    )*};
}

geometries! {
    smallest: 2 x 16,
    s390: 2 x 2048,
    powerpc_hash_64k_pte: 16 x 4096,
    powerpc_hash_64k_pmd_1m: 4 x 16384,
    powerpc_hash_64k_pmd_512k: 8 x 8192,
    powerpc_hash_4k_pmd: 4 x 1024,
    powerpc_8xx: 4 x 4096,
    m68k_pte: 16 x 256,
    m68k_pgd: 8 x 512,
}
