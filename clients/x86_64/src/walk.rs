//! The walk in software, as the processor does it.

use ptfrag::Rcu;
use x86_64::structures::paging::mapper::PageTableFrameMapping;
use x86_64::structures::paging::page_table::{PageTableEntry, PageTableFlags, PageTableLevel};
use x86_64::{PhysAddr, VirtAddr, structures::paging::PhysFrame};

use crate::SharedEntry;

/// A tree of tables that has walkers.
#[derive(Clone, Copy, Debug)]
pub struct Tree<R, M> {
    root: PhysFrame,
    map: M,
    rcu: R,
}

impl<R: Rcu, M: PageTableFrameMapping> Tree<R, M> {
    /// The tree below the table of level 4 in `root`.
    ///
    /// # Safety
    /// As long as the tree is used, and whatever was found in it:
    /// - its tables are written to through [`SharedEntry`] only, and `root` stays;
    /// - what is taken off is retired, in an mm over this RCU;
    /// - they lie where `map` says.
    #[must_use]
    pub const unsafe fn new(root: PhysFrame, map: M, rcu: R) -> Self {
        Self { root, map, rcu }
    }

    /// Goes down to the entry for `addr` in a table of level `lowest`; or to one above, if no table hangs there. Gives the
    /// entry, what that was, and the level of the table that it is in.
    ///
    /// # Panics
    /// When the guard is not one of the tree's RCU.
    pub fn find<'g>(
        &self,
        guard: &'g R::Guard,
        addr: VirtAddr,
        lowest: PageTableLevel,
    ) -> (&'g SharedEntry, PageTableEntry, PageTableLevel) {
        assert!(self.rcu.covers(guard), "the guard is of another RCU");
        let mut at = (self.root, PageTableLevel::Four);
        loop {
            let (table, index) = (self.map.frame_to_pointer(at.0), addr.page_table_index(at.1));
            // SAFETY: the table was part of the tree when the guard was there already, so it stays until that is dropped.
            let entry = unsafe { SharedEntry::at(table, index.into()) };
            let value = entry.load();
            at = match (value.frame(), at.1.next_lower_level()) {
                (Ok(next), Some(lower)) if lower >= lowest => (next, lower),
                _ => return (entry, value, at.1),
            };
        }
    }

    /// What `addr` is mapped to, for a moment during the call, with the flags of the last entry.
    ///
    /// # Panics
    /// When the guard is not one of the tree's RCU.
    pub fn walk(&self, guard: &R::Guard, addr: VirtAddr) -> Option<(PhysAddr, PageTableFlags)> {
        let (_, value, level) = self.find(guard, addr, PageTableLevel::One);
        let (start, size) = (value.addr(), level.entry_address_space_alignment());
        let to = start.align_down(size) + addr.as_u64() % size;
        // No page is as large as what an entry of level 4 is for.
        let mapped =
            value.flags().contains(PageTableFlags::PRESENT) && level < PageTableLevel::Four;
        mapped.then_some((to, value.flags()))
    }
}
