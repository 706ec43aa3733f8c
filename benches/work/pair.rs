//! The pair: allocate, touch, and retire one of the blocks that the thread holds.

use std::{mem, thread, time::Instant};

use serde::{Deserialize, Serialize};

use super::{Cursor, Gate, Order, Timing};
use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::Visit,
};

/// The pair workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// Which block is retired.
    pub order: Order,
    /// Blocks that each thread holds: a power of two.
    pub live: usize,
    /// Threads at it.
    pub threads: usize,
    /// What they share.
    pub sharing: Sharing,
    /// Pairs that each thread makes with the clock running, after a quarter as many without.
    pub pairs: u64,
}

impl Pair {
    /// The setup for it.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup { held: self.live, sharing: self.sharing }
    }
}

/// Holds blocks and exchanges one after the other.
pub(super) struct Holder<H: Handle, const RANDOM: bool> {
    pub(super) handle: H,
    held: Vec<H::Block>,
    cursor: Cursor<RANDOM>,
}

impl<H: Handle<Block: Block>, const RANDOM: bool> Holder<H, RANDOM> {
    pub(super) fn new(handle: H, live: usize, thread: usize) -> Self {
        let held = Vec::with_capacity(live);
        let mut holder = Self { handle, held, cursor: Cursor::new(live, thread) };
        for _ in 0..live {
            let block = holder.fresh();
            holder.held.push(block);
        }
        holder
    }

    #[inline(always)]
    pub(super) fn fresh(&mut self) -> H::Block {
        let mut block = self.handle.allocate();
        block.touch();
        block
    }

    /// Keeps a block in the place of another.
    #[inline(always)]
    pub(super) fn exchange(&mut self, block: H::Block) -> H::Block {
        let nth = self.cursor.next();
        mem::replace(&mut self.held[nth], block)
    }

    #[inline(always)]
    pub(super) fn pair(&mut self) {
        let fresh = self.fresh();
        let old = self.exchange(fresh);
        self.handle.retire(old);
    }

    pub(super) fn end(mut self) {
        for block in self.held {
            self.handle.retire(block);
        }
    }
}

impl Visit for Pair {
    type Out = Timing;

    fn visit<A: Allocator>(self) -> Timing {
        match self.order {
            Order::Fifo => run::<A, false>(self),
            Order::Random => run::<A, true>(self),
        }
    }
}

fn run<A: Allocator, const RANDOM: bool>(pair: Pair) -> Timing {
    let allocator = A::new(pair.setup());
    let gate = Gate::new(pair.threads);
    let work = |thread| {
        let mut holder = Holder::<_, RANDOM>::new(allocator.handle(thread), pair.live, thread);
        for _ in 0..pair.pairs / 4 {
            holder.pair();
        }
        gate.pass();
        let begun = Instant::now();
        for _ in 0..pair.pairs {
            holder.pair();
        }
        holder.end();
        (begun, Instant::now())
    };
    let work = &work;
    let times: Vec<_> = if pair.threads == 1 {
        vec![work(0)]
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..pair.threads).map(|nth| scope.spawn(move || work(nth))).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            threads.into_iter().map(|thread| join(thread).expect("a thread panicked")).collect()
        })
    };
    allocator.quiesce();
    let end = Instant::now();
    let begun = times.iter().map(|time| time.0).min().unwrap_or(end);
    let last = times.iter().map(|time| time.1).max().unwrap_or(end);
    Timing { run: last - begun, total: end - begun }
}
