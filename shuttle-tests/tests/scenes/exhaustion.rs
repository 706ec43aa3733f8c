//! The page source runs dry, and the mms recover.

use std::array;

use shuttle::thread;

use crate::support::{Held, World, below, pick_some, walks};

/// The mm whose hook refuses a page now and then.
const PICKY: usize = 1;

/// Four threads take from two mms whatever there is, more than the source has, and free some of it
/// whenever they are refused; now and then the hook of one refuses a page too. In the end each mm
/// gets every fragment that the others have not, and every page goes home. With so few pages each
/// one wanders between the mms all the time.
///
/// It fails on most of what `churn` fails on, and on anything that leaves a free fragment where it
/// cannot be found: a callback that gives up when the lock is held, a call that is not made for X.
/// It is the quickest to find a page that came to another mm under a looker (a look outside a
/// section, a taker that goes on from the page that it saw, both under the PCT walk). It does not
/// find faults of the close, nor a head that goes before its last page is home.
///
/// The crowd is of eight threads, in three mms that have a page each at most. Its PCT walks find the
/// look outside a section too, and sooner.
fn exhaust<const N: usize, const THREADS: usize, const MMS: usize>(rounds: usize) {
    let total = 1 + below(3);
    let world = World::<N>::new(total);
    let mms: [_; MMS] = array::from_fn(|at| world.mm(at == PICKY));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (world, mms) = (&world, &mms);
            scope.spawn(move || {
                let mut held = Vec::new();
                for _ in 0..rounds {
                    let mm = &mms[below(MMS)];
                    held.extend(mm.alloc_some(1 + below(N * total)));
                    let some = below(held.len() + 1);
                    Held::free_somehow(pick_some(&mut held, some));
                    world.domain().attempt();
                }
                Held::free_somehow(held);
            });
        }
    });
    world.domain().drain();
    for (at, mm) in mms.iter().enumerate() {
        mm.agree(true);
        let obtainable = mm.obtainable();
        // Where the hook refuses pages at random it takes several tries.
        let tries = if at == PICKY { 40 } else { 1 };
        let held: Vec<_> = (0..tries).flat_map(|_| mm.alloc_all()).collect();
        assert_eq!(held.len(), obtainable, "an mm does not get what is free");
        Held::give_back_all(held);
        world.domain().drain();
        assert_eq!(mm.obtainable(), N * total, "an mm without fragments keeps pages");
    }
    drop(mms);
    world.finish();
}

walks!(of_16, 2_000, 6_000, || super::exhaust::<16, 4, 2>(4));
walks!(of_2, 4_000, 12_000, || super::exhaust::<2, 4, 2>(4));
walks!(crowd, 1_000, 3_000, || super::exhaust::<16, 8, 3>(3));
