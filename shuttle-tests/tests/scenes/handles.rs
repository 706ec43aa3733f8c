//! Per-thread handles, which in these builds have room for four fragments and make a call for one.

use shuttle::thread;

use crate::support::{Handle, Held, World, below, pick_some, walks};

const THREADS: usize = 6;

/// Six threads churn two mms, each with a handle for either: what one hands out is freed by any, in
/// any way, shown to readers or not; handles are flushed, dropped and made anew at any time. In some
/// schedules one of the mms is dropped while the threads still have handles of it.
///
/// It fails when a handle takes for ready what it has sent, when its callback hands it over before
/// the hook has run, when the flush and the callback both give back what was sent, or neither, when
/// a dropped handle ends its part while a call is in flight, or nobody does, when a part's callback
/// waits for the lock or calls the hook again, and when the ring is filled beyond its room. The page
/// words' own faults are `churn`'s.
///
/// What a handle has claimed or keeps counts as used, and nobody but the handle knows how much that
/// is. So after each operation it is checked that what a user has is nobody else's, free nowhere and
/// with no reader, and that nothing is free before its grace period is over; a fragment that a
/// handle loses is found at the end, when all handles are gone.
fn handles<const N: usize>(world: World<N>) {
    let (mm, other) = (world.mm(false), world.mm(false));
    let places: Vec<_> = (0..3).map(|_| mm.place(false)).collect();
    let locals: Vec<_> = (0..THREADS).map(|_| [Handle::new(&mm), Handle::new(&other)]).collect();
    thread::scope(|scope| {
        for local in locals {
            let (world, mm, places) = (&world, &mm, &places);
            scope.spawn(move || {
                let mut locals = local.map(Some);
                let mut held = Vec::new();
                for _ in 0..7 {
                    let at = below(2);
                    let Some(local) = &mut locals[at] else {
                        // The other mm may be gone.
                        locals[0].get_or_insert_with(|| Handle::new(mm));
                        continue;
                    };
                    match below(10) {
                        0..4 => held.extend(local.alloc_some(1 + below(3))),
                        4..7 => local.retire_all(pick_some(&mut held, 1 + below(4))),
                        7 => {
                            let guard = world.domain().read_section();
                            let seen: Vec<_> =
                                places.iter().filter_map(|place| mm.look(place, &guard)).collect();
                            if let Some(own) = &mut locals[0] {
                                let shown = own.alloc_some(1).pop();
                                own.show(&places[below(places.len())], shown);
                            }
                            seen.iter().for_each(|seen| mm.look_again(seen));
                        }
                        8 => local.flush(),
                        _ => locals[at] = None,
                    }
                    world.domain().attempt();
                }
                Held::free_somehow(held);
            });
        }
        drop(other);
    });
    places.iter().for_each(|place| mm.show(place, None));
    world.domain().drain();
    mm.agree(true);
    drop(mm);
    world.finish();
}

walks!(of_16, 2_000, 6_000, || super::handles(super::World::<16>::new(20)));
walks!(of_2, 2_000, 6_000, || super::handles(super::World::<2>::new(40)));
walks!(real, 1_500, 4_000, || super::handles(super::World::<16>::with_real_domain(20)));
