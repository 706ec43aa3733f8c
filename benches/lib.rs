//! What the benchmarks share: the workload, told apart from who allocates.

use std::{
    collections::VecDeque,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Somebody who hands out blocks and takes them back after a grace period.
pub trait Allocator: Sync {
    /// A block that its owner can write.
    type Block: Send;

    /// A block, its first 16 bytes written.
    fn allocate(&self) -> Self::Block;

    /// Frees a block after a grace period, and now and then lets callbacks run.
    fn retire(&self, block: Self::Block);

    /// Waits until everything that was retired is back.
    fn quiesce(&self);
}

/// `pairs` times on each of `threads` threads: allocate, write, and retire the block that was
/// allocated `live` pairs ago. The time ends when everything is back.
pub fn pairs<A: Allocator>(allocator: &A, pairs: u64, live: usize, threads: usize) -> Duration {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut held = VecDeque::with_capacity(live + 1);
                    start.wait();
                    for _ in 0..pairs {
                        held.push_back(allocator.allocate());
                        if held.len() > live {
                            held.pop_front().into_iter().for_each(|block| allocator.retire(block));
                        }
                    }
                    held.into_iter().for_each(|block| allocator.retire(block));
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        for worker in workers {
            worker.join().expect("a worker panicked");
        }
        allocator.quiesce();
        begun.elapsed()
    })
}
