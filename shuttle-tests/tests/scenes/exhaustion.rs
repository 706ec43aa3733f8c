//! The page source runs dry, and the mms recover.

use shuttle::thread;

use crate::support::{Held, World, below, pick_some, walks};

const THREADS: usize = 4;

/// Four threads take from two mms whatever there is, more than the source has, and free some of it
/// whenever they are refused; now and then the hook refuses a page too. In the end each mm gets
/// every fragment that the other has not, and every page goes home. With so few pages each one
/// wanders between the mms all the time.
///
/// It fails on most of what `churn` fails on, and on anything that leaves a free fragment where it
/// cannot be found: a callback that gives up when the lock is held, a call that is not made for X.
/// It is the quickest to find a page that came to another mm under a looker (a look outside a
/// section, a taker that goes on from the page that it saw, both under the PCT walk). It does not
/// find faults of the close, nor a head that goes before its last page is home.
fn exhaust<const N: usize>() {
    let total = 1 + below(3);
    let world = World::<N>::new(total);
    let mms = [world.mm(false), world.mm(true)];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (world, mms) = (&world, &mms);
            scope.spawn(move || {
                let mut held = Vec::new();
                for _ in 0..4 {
                    let mm = &mms[below(2)];
                    for _ in 0..1 + below(N * total) {
                        match mm.alloc() {
                            Ok(frag) => held.push(frag),
                            Err(_) => break,
                        }
                    }
                    let some = below(held.len() + 1);
                    Held::free_somehow(pick_some(&mut held, some));
                    world.domain().attempt();
                }
                Held::free_somehow(held);
            });
        }
    });
    world.domain().drain();
    for mm in &mms {
        mm.agree(true);
        let obtainable = mm.obtainable();
        // Several tries, because one of the hooks refuses pages at random.
        let held: Vec<_> = (0..40).flat_map(|_| mm.alloc_all()).collect();
        assert_eq!(held.len(), obtainable, "an mm does not get what is free");
        Held::give_back_all(held);
        world.domain().drain();
        assert_eq!(mm.obtainable(), N * total, "an mm without fragments keeps pages");
    }
    drop(mms);
    world.finish();
}

walks!(of_16, 3_000, 10_000, super::exhaust::<16>);
walks!(of_2, 6_000, 20_000, super::exhaust::<2>);
