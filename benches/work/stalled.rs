//! A reader that does not leave its section for a second while another thread goes on.
//!
//! Unthrottled, a second of garbage would tell how fast everybody allocates, so the other thread
//! makes a fixed number of pairs in each millisecond.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    latency::{Quantiles, histogram, quantiles},
    pair::Holder,
};
use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    heap,
    who::Visit,
};

/// The stalled reader. Blocks have to count themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stalled {
    /// Pairs in each millisecond.
    pub rate: u32,
    /// Milliseconds before, during and after the stall.
    pub phases: [u32; 3],
}

/// Blocks that the thread holds.
const LIVE: usize = 64;

/// Milliseconds between two looks at the memory.
const EVERY: u32 = 20;

/// The memory at one moment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since the beginning.
    pub at: u32,
    /// Bytes of blocks or whole pages that cannot be given away.
    pub held: usize,
    /// Bytes of bookkeeping: what the heap has out beyond blocks, and descriptors. Only where the
    /// heap is counted.
    pub beside: usize,
    /// Calls or records that wait for the grace period.
    pub in_flight: usize,
    /// Bytes of the process that are in memory, less those at the beginning.
    pub resident: usize,
}

/// What it gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Course {
    /// The memory over time.
    pub samples: Vec<Sample>,
    /// How long retiring took before and after the stall.
    pub calm: Quantiles,
    /// How long it took during the stall.
    pub stalled: Quantiles,
    /// Pairs made; nobody can refuse to retire, so all of them retired their block.
    pub pairs: u64,
    /// Milliseconds that were too short for their pairs.
    pub late: u32,
}

impl Visit for Stalled {
    type Out = Course;

    fn visit<A: Allocator>(self) -> Course {
        let [before, stall, after] = self.phases;
        // What the harness needs is there before anything is counted.
        let mut pages = HashSet::with_capacity(1 << 16);
        let mut histograms = [histogram(), histogram()];
        let mut samples = Vec::with_capacity(((before + stall + after) / EVERY) as usize + 1);
        let (heap_before, resident_before) = (heap::bytes(), heap::resident());

        let owner = A::new(Setup { held: LIVE, sharing: Sharing::OneMm });
        let allocator = &owner;
        let (stalling, over) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let late = thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut handle = allocator.handle(1);
                // Registered and idle until it is time.
                handle.in_section(|| ());
                while !stalling.load(Ordering::Acquire) {
                    thread::park();
                }
                handle.in_section(|| {
                    while !over.load(Ordering::Acquire) {
                        thread::park();
                    }
                });
            });
            let switch = |flag: &AtomicBool| {
                flag.store(true, Ordering::Release);
                reader.thread().unpark();
            };
            let mut holder = Holder::<_, false>::new(allocator.handle(0), LIVE, 0);
            let mut late = 0;
            let start = Instant::now();
            for ms in 0..before + stall + after {
                if ms == before {
                    switch(stalling);
                } else if ms == before + stall {
                    switch(over);
                }
                let stalled = usize::from((before..before + stall).contains(&ms));
                for _ in 0..self.rate {
                    let mut fresh = holder.fresh();
                    if A::PAGE != 0 {
                        pages.insert(fresh.addr().addr() & !(A::PAGE - 1));
                    }
                    let old = holder.exchange(fresh);
                    let begun = Instant::now();
                    holder.handle.retire(old);
                    let took = begun.elapsed();
                    histograms[stalled].saturating_record(took.as_nanos() as u64);
                }
                if ms % EVERY == 0 {
                    let holding = allocator.holding();
                    let heap = heap::bytes().saturating_sub(heap_before + holding.heap);
                    samples.push(Sample {
                        at: ms,
                        held: holding.bytes,
                        beside: holding.beside + heap,
                        in_flight: allocator.in_flight(LIVE, &pages),
                        resident: heap::resident().saturating_sub(resident_before),
                    });
                }
                let due = start + Duration::from_millis(u64::from(ms) + 1);
                match due.checked_duration_since(Instant::now()) {
                    Some(rest) => thread::sleep(rest),
                    None => late += 1,
                }
            }
            holder.end();
            late
        });
        owner.quiesce();
        let [calm, stalled] = histograms.map(|histogram| quantiles(&histogram));
        let pairs = u64::from(before + stall + after) * u64::from(self.rate);
        Course { samples, calm, stalled, pairs, late }
    }
}
