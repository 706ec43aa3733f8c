//! Entries that walkers load while somebody exchanges them.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::PhysAddr;
use x86_64::structures::paging::page_table::{PageTable, PageTableEntry, PageTableFlags};

/// The bits that an entry has for an address; the rest are flags.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// An entry of a table that others may be looking at. All access is atomic.
#[derive(Debug)]
#[repr(transparent)]
pub struct SharedEntry(AtomicU64);

impl SharedEntry {
    /// The entry at this index, which is below 512.
    ///
    /// # Safety
    /// There is a table, as long as the reference lives; and whoever writes to the entry meanwhile does so through this type.
    #[must_use]
    pub unsafe fn at<'a>(table: *mut PageTable, index: usize) -> &'a Self {
        assert!(index < 512);
        // SAFETY: a table is 512 entries of 64 bits.
        let entry = unsafe { table.cast::<u64>().add(index) };
        // SAFETY: the caller sees to it that the entry is there, and that all access is atomic.
        unsafe { &*entry.cast() }
    }

    /// What it is now. What was done before it was put there is seen.
    #[must_use]
    pub fn load(&self) -> PageTableEntry {
        entry(self.0.load(Ordering::Acquire))
    }

    /// Puts another entry in its place, for walkers to find with all that was done before, and gives back what they
    /// found until now.
    ///
    /// # Safety
    /// `new` leads nowhere, or to tables that nobody accesses from now on but through this type and by walks; and the
    /// tables are [retired](crate::Frames::retire_tables), not reused, by whoever takes the entry off.
    pub unsafe fn swap(&self, new: &PageTableEntry) -> PageTableEntry {
        entry(self.0.swap(new.addr().as_u64() | new.flags().bits(), Ordering::AcqRel))
    }
}

fn entry(bits: u64) -> PageTableEntry {
    let mut entry = PageTableEntry::new();
    entry
        .set_addr(PhysAddr::new(bits & ADDRESS), PageTableFlags::from_bits_retain(bits & !ADDRESS));
    entry
}
