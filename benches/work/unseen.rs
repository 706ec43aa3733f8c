//! Blocks that no reader sees: allocated, touched, and given back.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Order, Timing, cross::Cross, pair::Pair};
use crate::{
    allocator::{Allocator, Sharing},
    who::{
        Visit,
        unseen::{Given, Heap},
    },
};

/// Who takes them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The handle that has handed them out; from thread to thread, the other thread's.
    Handle,
    /// A second handle of the same mm on the thread.
    OtherHandle,
    /// The global allocator.
    Heap,
}

/// Blocks of 256 bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unseen {
    /// Who takes them back.
    pub by: By,
    /// Whether another thread gives them back, all that it gets. Else the one that allocates has 64 and
    /// gives back any of these.
    pub crossing: bool,
    /// How many.
    pub pairs: u64,
}

/// Does the work.
#[must_use]
pub fn unseen(unseen: Unseen) -> Timing {
    match unseen.by {
        By::Handle => run::<Given<16, 256, 4096, false>>(unseen),
        By::OtherHandle => run::<Given<16, 256, 4096, true>>(unseen),
        By::Heap => run::<Heap<256>>(unseen),
    }
}

fn run<A: Allocator>(Unseen { crossing, pairs, .. }: Unseen) -> Timing {
    if crossing {
        return Cross { pairs }.visit::<A>();
    }
    let (order, sharing) = (Order::Random, Sharing::OneMm);
    Pair { order, live: 64, threads: 1, sharing, pairs }.visit::<A>()
}
