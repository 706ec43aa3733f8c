//! Pairs on one thread beside others: who sleep, who have ended, or who go in and out of sections without a pause.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::Visit,
};

/// What the others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Others {
    /// They have been in a section, and sleep.
    Asleep,
    /// They were alive at the same time, in a section each, and have ended.
    Ended,
    /// They enter sections and leave them all the time.
    Busy,
}

/// The work. Blocks have to count themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beside {
    /// What the others do.
    pub others: Others,
    /// How many they are.
    pub threads: usize,
    /// Pairs. The thread holds nothing in between.
    pub pairs: u32,
    /// Nanoseconds that a pair takes at least: so everybody makes equally many in a second.
    pub pace: u32,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Besides {
    /// What the pairs took.
    pub total: Duration,
    /// Bytes of blocks, or whole pages, that were out at the peak.
    pub peak: usize,
}

/// Pairs between two looks at the memory.
const EVERY: u32 = 64;

/// Others that only have to be there get little of a stack.
const STACK: usize = 64 << 10;

impl Visit for Beside {
    type Out = Besides;

    fn visit<A: Allocator>(self) -> Besides {
        let Self { others, threads, pairs, pace } = self;
        let owner = A::new(Setup { held: 1, sharing: Sharing::OneMm });
        let allocator = &owner;
        let all = Barrier::new(threads + 1);
        let done = AtomicBool::new(false);
        let mut besides = Besides { total: Duration::ZERO, peak: 0 };
        let mut work = || {
            let mut handle = allocator.handle(0);
            let start = Instant::now();
            for pair in 1..=pairs {
                let mut block = handle.allocate();
                block.touch();
                handle.retire(block);
                if pair % EVERY == 0 {
                    besides.peak = besides.peak.max(allocator.holding().bytes);
                }
                let due = Duration::from_nanos(u64::from(pace)) * pair;
                while pace != 0 && start.elapsed() < due {}
            }
            besides.total = start.elapsed();
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                let other = || {
                    let mut handle = allocator.handle(0);
                    handle.in_section(|| black_box(()));
                    all.wait();
                    match others {
                        Others::Asleep => _ = all.wait(),
                        Others::Ended => {}
                        Others::Busy => {
                            while !done.load(Ordering::Relaxed) {
                                handle.in_section(|| black_box(()));
                            }
                        }
                    }
                };
                let thread = thread::Builder::new().stack_size(STACK);
                thread.spawn_scoped(scope, other).expect("a thread more");
            }
            all.wait();
            if others != Others::Ended {
                work();
            }
            done.store(true, Ordering::Relaxed);
            if others == Others::Asleep {
                all.wait();
            }
        });
        if others == Others::Ended {
            work();
        }
        owner.quiesce();
        besides
    }
}
