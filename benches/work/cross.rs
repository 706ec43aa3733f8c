//! Allocated on one thread, retired on another.

use std::{
    sync::mpsc::{self, Receiver, RecvError, TryRecvError},
    thread,
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{Timing, spin};
use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::Visit,
};

/// Blocks change hands in such batches, so that the channel does not weigh much.
const BATCH: usize = 64;

/// So many batches go round.
const DEPTH: usize = 10;

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
        let held = BATCH * DEPTH;
        let owner = A::new(Setup { held, sharing: Sharing::OneMm });
        let allocator = &owner;
        let (full, filled) = mpsc::sync_channel::<Vec<A::Block>>(DEPTH);
        let (empty, emptied) = mpsc::sync_channel::<Vec<A::Block>>(DEPTH);
        for _ in 0..DEPTH {
            empty.send(Vec::with_capacity(BATCH)).expect("the other end is below");
        }
        let (begun, run) = thread::scope(|scope| {
            let retirer = scope.spawn(move || {
                let mut handle = allocator.handle(1);
                while let Ok(mut batch) = receive(&filled) {
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
                    let mut batch = receive(&emptied).expect("the retirer waits for the allocator");
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

/// Waits for the other thread without going to sleep.
fn receive<T>(from: &Receiver<T>) -> Result<T, RecvError> {
    spin(|| match from.try_recv() {
        Ok(batch) => Some(Ok(batch)),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
    })
}
