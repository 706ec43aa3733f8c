//! What everybody who is measured has to be able to do.

use std::collections::HashSet;

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Blocks that all threads together hold at most.
    pub held: usize,
    /// What two threads share.
    pub sharing: Sharing,
}

/// What the threads of a run share, where who is measured has pools at all.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// One pool for all threads.
    #[default]
    OneMm,
    /// One pool, whose page source never gives memory back to the system.
    Warm,
    /// Two pools, used in turn by the threads, that share page source and RCU.
    TwoMms,
    /// Two pools with a page source each, that share the RCU.
    TwoSources,
    /// Two pools that share nothing.
    Nothing,
}

impl Sharing {
    /// How many pools there are.
    #[must_use]
    pub fn mms(self) -> usize {
        if matches!(self, Self::OneMm | Self::Warm) { 1 } else { 2 }
    }
}

/// A block of memory that its owner can write.
pub trait Block: Send {
    /// Where it begins.
    fn addr(&mut self) -> *mut u8;

    /// Writes the first 16 bytes.
    #[inline(always)]
    fn touch(&mut self) {
        let addr = self.addr();
        // SAFETY: every block has at least 16 bytes, which its owner may write, and is aligned
        // to 8.
        unsafe { addr.cast::<[u64; 2]>().write([0x5a; 2]) };
        // The store has to be there: others could find the block now.
        std::hint::black_box(addr);
    }
}

/// Somebody who hands out blocks and takes them back after a grace period.
pub trait Allocator: Sync + Sized {
    /// What is handed out.
    type Block: Block;
    /// What a thread does it with.
    type Handle<'a>: Handle<Block = Self::Block>
    where
        Self: 'a;

    /// Bytes of a page; 0 for who has none.
    const PAGE: usize;

    /// A fresh one.
    fn new(setup: Setup) -> Self;

    /// A handle for the calling thread, on one of the pools if there are more.
    fn handle(&self, pool: usize) -> Self::Handle<'_>;

    /// Waits until everything that was retired is free. No handle is left.
    fn quiesce(self);

    /// What it holds now. A block counts until its memory can be used again. Who takes blocks from
    /// the heap has to count them for that.
    fn holding(&self) -> Holding;

    /// Whether everything is free, when everything is retired.
    fn is_idle(&self) -> bool {
        self.holding().bytes == 0
    }

    /// Calls or records that wait for a grace period now, while the caller has `held` blocks and
    /// has seen blocks in the pages at `pages`.
    fn in_flight(&self, held: usize, pages: &HashSet<usize>) -> usize;
}

/// What an allocator holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holding {
    /// Bytes of blocks: for those who have pages, of whole pages, free fragments included.
    pub bytes: usize,
    /// Bytes from the heap that blocks are or can be made of.
    pub heap: usize,
    /// Bytes of bookkeeping that are not from the heap.
    pub beside: usize,
}

/// One thread's way to an allocator.
pub trait Handle {
    /// What is handed out.
    type Block;

    /// A block.
    fn allocate(&mut self) -> Self::Block;

    /// Frees a block after a grace period, from inside a read-side section, as somebody does who
    /// has just found and unlinked it; now and then lets grace periods end.
    fn retire(&mut self, block: Self::Block);

    /// Does `work` inside a read-side section.
    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R;

    /// Tries to end a grace period, and frees what has waited long enough.
    fn progress(&mut self);
}
