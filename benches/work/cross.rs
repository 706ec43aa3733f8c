//! Allocated on one thread, retired on another.

use std::{sync::mpsc, thread, time::Instant};

use serde::{Deserialize, Serialize};

use super::Timing;
use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::Visit,
};

/// Blocks change hands in such batches, so that the channel does not weigh much.
const BATCH: usize = 64;

/// Batches on the way.
const DEPTH: usize = 8;

/// The crossing workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cross {
    /// Blocks that cross, rounded up to whole batches.
    pub pairs: u64,
}

impl Visit for Cross {
    type Out = Timing;

    fn visit<A: Allocator>(self) -> Timing {
        let batches = self.pairs.div_ceil(BATCH as u64);
        let held = BATCH * (DEPTH + 2);
        let owner = A::new(Setup { held, sharing: Sharing::OneMm });
        let allocator = &owner;
        let (full, filled) = mpsc::sync_channel::<Vec<A::Block>>(DEPTH);
        let (empty, emptied) = mpsc::channel::<Vec<A::Block>>();
        for _ in 0..DEPTH + 2 {
            empty.send(Vec::with_capacity(BATCH)).expect("the other end is below");
        }
        let (begun, run) = thread::scope(|scope| {
            let retirer = scope.spawn(move || {
                let mut handle = allocator.handle(1);
                for mut batch in filled {
                    for block in batch.drain(..) {
                        handle.retire(block);
                    }
                    // The allocator may be through.
                    drop(empty.send(batch));
                }
            });
            let allocate = scope.spawn(move || {
                let mut handle = allocator.handle(0);
                let begun = Instant::now();
                for _ in 0..batches {
                    let mut batch = emptied.recv().expect("the retirer waits for the allocator");
                    batch.extend((0..BATCH).map(|_| {
                        let mut block = handle.allocate();
                        block.touch();
                        block
                    }));
                    full.send(batch).expect("the retirer waits for the allocator");
                }
                begun
            });
            let begun = allocate.join().expect("the allocating thread panicked");
            retirer.join().expect("the retiring thread panicked");
            (begun, begun.elapsed())
        });
        owner.quiesce();
        Timing { run, total: begun.elapsed() }
    }
}
