//! The workloads.

pub mod backlog;
pub mod beside;
pub mod burst;
pub mod counts;
pub mod cross;
pub mod domains;
pub mod epochs;
pub mod flavours;
pub mod grace;
pub mod latency;
pub mod lines;
pub mod pair;
pub mod parts;
pub mod stalled;
pub mod unseen;
pub mod waits;

use std::{
    fmt, hint,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which of the blocks that it holds a thread retires next.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The oldest.
    Fifo,
    /// Any: what programs do.
    Random,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fifo => "fifo",
            Self::Random => "random",
        })
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Until the last thread was through.
    pub run: Duration,
    /// Until everything that was retired was free.
    pub total: Duration,
}

/// Which of the held blocks comes next. There are a power of two of them.
struct Cursor<const RANDOM: bool> {
    mask: usize,
    last: usize,
    random: fastrand::Rng,
}

impl<const RANDOM: bool> Cursor<RANDOM> {
    fn new(held: usize, thread: usize) -> Self {
        assert!(held.is_power_of_two(), "threads hold a power of two of blocks");
        Self { mask: held - 1, last: 0, random: fastrand::Rng::with_seed(thread as u64 + 1) }
    }

    #[inline(always)]
    fn next(&mut self) -> usize {
        if RANDOM {
            self.random.u64(..) as usize & self.mask
        } else {
            self.last = (self.last + 1) & self.mask;
            self.last
        }
    }
}

/// Lets threads start together: a blocking barrier would wake them one after the other.
struct Gate(AtomicUsize);

impl Gate {
    fn new(threads: usize) -> Self {
        Self(AtomicUsize::new(threads))
    }

    fn pass(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        spin(|| (self.0.load(Ordering::Acquire) == 0).then_some(()));
    }
}

/// Waits for something without going to sleep, which takes longer than most of what is measured.
fn spin<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut rounds = 0;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        rounds += 1;
        // With more threads than cores, the others may need this one's.
        if rounds % 1000 == 0 {
            thread::yield_now();
        }
        hint::spin_loop();
    }
}
