//! An mm goes, or two do, while calls are in flight and other threads still have their fragments.

use std::array;

use shuttle::thread;

use crate::support::{Held, Place, Pool, World, below, pick_some, walks};

/// Frees the fragments of an mm that may be gone, in several portions, then a slot of it.
fn free_late<'a, const N: usize>(
    world: &World<N>,
    mut held: Vec<Held<'a, N>>,
    slot: Option<Place<'a, N>>,
) {
    held.iter().for_each(Held::adopt);
    while !held.is_empty() {
        Held::free_somehow(pick_some(&mut held, 1 + below(N)));
        if below(2) == 0 {
            world.domain().attempt();
        }
    }
    slot.into_iter().for_each(Place::end);
    world.domain().attempt();
}

/// Takes and frees in an mm that lives on, or is closed meanwhile.
fn go_on<'a, const N: usize>(world: &World<N>, mm: &Pool<'a, N>) {
    for _ in 0..3 {
        let mut held = mm.alloc_some(1 + below(2 * N));
        Held::free_somehow(pick_some(&mut held, below(N)));
        world.domain().attempt();
        Held::free_somehow(held);
    }
}

/// The second one keeps empty pages, which its end lets go.
fn mm_to_close<const N: usize>(world: &World<N>, at: usize) -> Pool<'_, N> {
    let mm = world.mm(false);
    if at == 1 { mm.keeping(2) } else { mm }
}

/// One thread drops an mm, two free its fragments and a slot that outlives it, and the fourth keeps
/// a second mm busy, which gets the first one's pages as soon as they are home. Some fragments were
/// retired before, so calls are in flight when the mm goes, and some of its pages have fragments
/// that were never used. In the crowd two mms go, by twice as many threads, and the one that stays
/// gets pages from both.
///
/// It fails on all that `churn` fails on. The PCT walk also finds a close that changes the word
/// before it has unlinked the page, with which a node is written into a fragment that somebody
/// got, and a look at the list's first page outside a section. Only the crowd finds a close that
/// takes kept pages off the list and does not send them home.
fn drop_mm<const N: usize, const GOING: usize>() {
    let world = World::<N>::new(2 + 2 * GOING);
    let mms: [_; GOING] = array::from_fn(|at| mm_to_close(&world, at));
    let other = world.mm(false);
    thread::scope(|scope| {
        let (world, other) = (&world, &other);
        for mm in mms {
            let slot = mm.place(true);
            mm.show(&slot, mm.alloc().ok());
            let mut held = mm.alloc_some(below(2 * N) + 1);
            let (first, second) = (pick_some(&mut held, below(N)), pick_some(&mut held, below(N)));
            Held::retire_all(held);
            scope.spawn(move || {
                let left = mm.alloc_some(below(3));
                drop(mm);
                world.domain().attempt();
                Held::free_somehow(left);
            });
            scope.spawn(move || free_late(world, first, Some(slot)));
            scope.spawn(move || free_late(world, second, None));
            scope.spawn(move || go_on(world, other));
        }
    });
    other.agree(true);
    drop(other);
    world.finish();
}

/// One thread closes an mm, or two do, from which the others still take. What they have taken stays
/// theirs; afterwards nothing can be had, and nothing is listed. In the crowd two mms are closed, by
/// twice as many threads.
///
/// Beyond what `drop_mm` finds, it fails when a closed mm lists a page again, and, under the PCT
/// walk with pages of 16 fragments, when a page that the close took off the list goes home without
/// its last grace period (somebody looked at it just before). That takes thousands of schedules. It
/// does not find a head that goes before its last page is home, since its mms are there till the
/// end, nor a page that another mm shows at once.
fn close_mm<const N: usize, const CLOSED: usize>() {
    let world = World::<N>::new(2 + 2 * CLOSED);
    let mms: [_; CLOSED] = array::from_fn(|at| mm_to_close(&world, at));
    let other = world.mm(false);
    thread::scope(|scope| {
        let (world, other) = (&world, &other);
        for mm in &mms {
            let mut held = mm.alloc_some(below(2 * N) + 1);
            let kept = pick_some(&mut held, below(N));
            Held::retire_all(held);
            scope.spawn(move || {
                mm.close();
                world.domain().attempt();
            });
            scope.spawn(move || free_late(world, kept, None));
            scope.spawn(move || {
                go_on(world, mm);
                mm.close();
            });
            scope.spawn(move || go_on(world, if below(2) == 0 { mm } else { other }));
        }
    });
    mms.iter().for_each(|mm| mm.agree(false));
    mms.iter().for_each(|mm| assert!(mm.alloc().is_err(), "a closed mm hands out a fragment"));
    world.domain().drain();
    mms.iter().for_each(|mm| mm.agree(false));
    drop((mms, other));
    world.finish();
}

walks!(drop_16, 10_000, 80_000, super::drop_mm::<16, 1>);
walks!(drop_2, 9_000, 28_000, super::drop_mm::<2, 1>);
walks!(drop_crowd, 2_000, 6_000, super::drop_mm::<16, 2>);
walks!(close_16, 10_000, 80_000, super::close_mm::<16, 1>);
walks!(close_2, 9_000, 28_000, super::close_mm::<2, 1>);
walks!(close_crowd, 2_000, 8_000, super::close_mm::<16, 2>);
