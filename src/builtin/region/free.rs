//! The free pages of a region, and its counts.

use core::ptr::NonNull;

use crate::{builtin::stack::Stack, page::PageDesc};

/// What a region's lock protects.
///
/// # Invariants
/// - The pages below `fresh` are out, returned, on one of the stacks, or in the hands of who gives their memory
///   back; those from `fresh` to `grown` are accessible and were never out.
#[derive(Default)]
pub(super) struct Free {
    /// Pages that still have their memory.
    pub(super) warm: Stack,
    /// Pages that still have their memory, and wait to give it back together.
    pub(super) excess: Stack,
    /// Pages whose memory the system has back; they are accessible and read as zeroes.
    pub(super) cold: Stack,
    /// The number of the first page that was never out.
    pub(super) fresh: usize,
    /// Pages that are accessible.
    pub(super) grown: usize,
    /// Pages out now, or returned.
    pub(super) out: usize,
    /// Pages taken so far.
    pub(super) taken: u64,
}

impl Free {
    /// Puts a page that has come back where there is room for it: `keep` of them keep their memory.
    ///
    /// # Safety
    /// The page is at its source and on no stack, and the caller holds the source's lock.
    pub(super) unsafe fn come_back(&mut self, page: NonNull<PageDesc>, keep: usize) {
        self.out -= 1;
        let stack = if self.warm.len() < keep { &mut self.warm } else { &mut self.excess };
        // SAFETY: passed on to the caller.
        unsafe { stack.push(page) };
    }
}
