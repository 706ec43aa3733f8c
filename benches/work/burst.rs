//! A burst: many blocks retired at once, and how long it takes until all of them can be used again.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{
    allocator::{Allocator, Block, Handle, Holding, Setup, Sharing},
    heap,
    who::Visit,
};

/// The burst workload, on one thread. Blocks have to count themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Burst {
    /// How many blocks.
    pub blocks: usize,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Returned {
    /// Until all were retired.
    pub retired: Duration,
    /// Until all could be used again; for who has pages, until the pages are back.
    pub back: Duration,
    /// Bytes of blocks or pages held when all were allocated.
    pub held: usize,
    /// Bytes that the process had in memory at most, less what it had before.
    pub resident: usize,
}

impl Visit for Burst {
    type Out = Returned;

    fn visit<A: Allocator>(self) -> Returned {
        let before = heap::resident();
        let allocator = A::new(Setup { held: self.blocks, sharing: Sharing::OneMm });
        let mut handle = allocator.handle(0);
        let fresh = |_| {
            let mut block = handle.allocate();
            block.touch();
            block
        };
        let blocks: Vec<_> = (0..self.blocks).map(fresh).collect();
        let Holding { bytes: held, .. } = allocator.holding();
        let start = Instant::now();
        for block in blocks {
            handle.retire(block);
        }
        let retired = start.elapsed();
        while !allocator.is_idle() {
            handle.progress();
        }
        let back = start.elapsed();
        drop(handle);
        allocator.quiesce();
        Returned { retired, back, held, resident: peak().saturating_sub(before) }
    }
}

/// Bytes that the process had in memory at most.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("the status tells the peak in kB") * 1024
}
