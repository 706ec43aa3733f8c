//! Threads end with callbacks pending, under the crate's own domain.

use std::array;

use shuttle::thread;

use crate::support::{Held, Place, Pool, World, below, pick_some, walks};

const LEAVERS: usize = 6;

/// Retires what it has, some of it after looking at it, and ends without ever asking for callbacks.
/// One that has never read has no record, and its heads go to the orphans.
fn leave<'a>(
    world: &'a World<16>,
    mm: &Pool<'a, 16>,
    place: &Place<'a, 16>,
    mut held: Vec<Held<'a, 16>>,
) {
    held.iter().for_each(Held::adopt);
    if below(3) != 0 {
        held.extend(mm.alloc_some(1 + below(2)));
        let shown = pick_some(&mut held, 1).pop();
        mm.show(place, shown);
        let guard = world.domain().read_section();
        let seen = mm.look(place, &guard);
        Held::retire_all(pick_some(&mut held, 2));
        seen.iter().for_each(|seen| mm.look_again(seen));
    }
    if below(2) == 0 {
        Held::retire_all(held);
    } else {
        held.into_iter().for_each(Held::retire);
    }
}

/// Six threads retire fragments of the pages of three mms, which others of them have some of too,
/// and end; two others go on, and get the fragments back. Sometimes a thread that comes later gets
/// the record of one that has gone, with the heads in it. When the leavers have left, only a thread
/// that had no part in it asks for callbacks, and every page has to come home by that.
///
/// It fails when a poll runs nobody's heads but its own, when it runs those of records that are
/// owned but not of those that are free, or not the orphans', when it tries to end an epoch only for
/// heads of its own, when what has been taken off a queue's stack is out of the others' reach, when
/// a new owner of a record empties its queue, and when a section's end is not announced. The uniform
/// walk and the PCT walk of depth 5 find a grace period that is over too early. It does not find a
/// record that is not given up with its thread: that costs memory, and its heads are run all the
/// same, as a neglected owner's.
fn leavers() {
    let world = World::<16>::with_real_domain(4);
    let mms: [_; 3] = array::from_fn(|_| world.mm(false));
    let places = mms.each_ref().map(|mm| mm.place(false));
    thread::scope(|scope| {
        let (world, mms, places) = (&world, &mms, &places);
        let go = move || {
            let at = below(3);
            let (mm, place) = (&mms[at], &places[at]);
            let held = mm.alloc_some(1 + below(4));
            move || leave(world, mm, place, held)
        };
        (0..LEAVERS - 1).for_each(|_| drop(scope.spawn(go())));
        for _ in 0..2 {
            scope.spawn(move || {
                for _ in 0..3 {
                    world.domain().attempt();
                    let held = mms[below(3)].alloc_some(1 + below(3));
                    Held::free_somehow(held);
                }
            });
        }
        scope.spawn(go());
    });
    mms.iter().zip(&places).for_each(|(mm, place)| mm.show(place, None));
    drop((places, mms));
    world.poll_home("a thread that has ended");
    world.finish();
}

walks!(real, 4_000, 10_000, super::leavers);
