//! Fragments freed many at a time, of several pages and several mms at once.

use shuttle::thread;

use crate::support::{Held, World, below, pick_some, shuffled, walks};

const THREADS: usize = 8;

/// Eight threads take from three mms that share a source, gather what they got of all three, and
/// free it in batches: sorted, so that a page's fragments go in one step, whole pages among them,
/// or shuffled, so that a batch comes back to a page that it has been at. Meanwhile the callbacks
/// of earlier batches come. One of the mms keeps two empty pages until somebody lets go of them.
///
/// It fails when a batch takes the fragments of two pages for those of one (a double free), forgets
/// what it has gathered when it comes to another page, or its last page, or keeps only the last
/// fragment of each (retired or free in the ledger, and used in the word), when a page that is all
/// pending or free goes home although it is listed, when a callback that finds the lock held gives
/// up, and when `reclaim` is called for the first fragment of a mask alone, or for X too. It does
/// not find what needs readers.
fn batches() {
    let world = World::<16>::new(6);
    let mms = [world.mm(false), world.mm(false), world.mm(false).keeping(2)];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (world, mms) = (&world, &mms);
            scope.spawn(move || {
                let mut held = Vec::new();
                for _ in 0..3 {
                    let mm = &mms[below(3)];
                    held.extend(mm.alloc_some(1 + below(20)));
                    let some = below(held.len() + 1);
                    let batch = pick_some(&mut held, some);
                    match below(4) {
                        0 => Held::retire_all(batch),
                        1 => Held::retire_in_order(shuffled(batch)),
                        2 => Held::give_back_all(batch),
                        _ => Held::give_back_in_order(shuffled(batch)),
                    }
                    if below(4) == 0 {
                        mms[2].shrink();
                    }
                    world.domain().attempt();
                }
                Held::retire_all(held);
            });
        }
    });
    world.domain().drain();
    mms.iter().for_each(|mm| mm.agree(true));
    drop(mms);
    world.finish();
}

walks!(mixed, 1_500, 8_000, super::batches);
