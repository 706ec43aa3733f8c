//! A `reclaim` hook that works in its own mm.

use shuttle::thread;

use crate::support::{Held, World, below, pick_some, walks};

const THREADS: usize = 8;

/// Eight threads take and retire in one mm, whose hook takes a fragment of that very mm for each
/// one that comes back, and gives it back or retires it, before the callback is at its end. Another
/// mm, whose hook only watches, takes the pages that become free.
///
/// It fails when the hook is called with the mm's lock held (the hook waits for it for ever), after
/// the fragment has become free (handed out: one that is not reclaimed yet), for what is in X too,
/// or once more when the lock was held by somebody else. The hook's own retires find P not empty on
/// the page that the callback is for, and go to X there: it fails when they go to P, or queue the
/// head that is just being run. Only the PCT walks under the crate's own domain find a grace period
/// that is over too early. It does not find faults of the close, nor a look at the list's first
/// page outside a section.
fn hook<const N: usize>(world: World<N>) {
    let (mm, other) = (world.mm(false), world.mm(false));
    let busy = mm.keep_busy();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (world, mm, other) = (&world, &mm, &other);
            scope.spawn(move || {
                for _ in 0..2 {
                    let mm = if below(4) == 0 { other } else { mm };
                    let mut held = mm.alloc_some(1 + below(6));
                    let some = pick_some(&mut held, below(4));
                    Held::free_somehow(some);
                    Held::retire_all(held);
                    world.domain().attempt();
                }
            });
        }
    });
    world.domain().drain();
    drop(busy);
    mm.agree(true);
    other.agree(true);
    drop((mm, other));
    world.finish();
}

walks!(of_16, 2_000, 6_000, || super::hook(super::World::<16>::new(4)));
walks!(of_2, 1_500, 4_000, || super::hook(super::World::<2>::new(8)));
walks!(real, 1_500, 4_000, || super::hook(super::World::<16>::with_real_domain(4)));
