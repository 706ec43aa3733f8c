//! Formats of other processors' tables. The crate has its own for the processor that it is compiled for only; with these its
//! tables run on every host with three levels and with four, and with entries of all the layouts.

use core::{fmt, marker::PhantomData};

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{GenericPTE, MappingFlags, PagingMetaData};

/// Three levels (Sv39) or four (Sv48) of RISC-V.
pub struct Sv<const LEVELS: usize>;
pub type SvEntry = Entry<SvLayout>;

impl<const N: usize> PagingMetaData for Sv<N> {
    const LEVELS: usize = N;
    const PA_MAX_BITS: usize = 56;
    const VA_MAX_BITS: usize = 12 + 9 * N;

    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {
        unreachable!("nothing is flushed outside of kernels");
    }
}

/// Four levels of AArch64, with pages of 4 KiB.
pub struct Arm;
pub type ArmEntry = Entry<ArmLayout>;

impl PagingMetaData for Arm {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 48;
    const VA_MAX_BITS: usize = 48;

    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {
        unreachable!("nothing is flushed outside of kernels");
    }
}

/// What is where in an entry.
pub trait Layout: 'static + Send + Sync {
    /// The bits of the address.
    const ADDRESS: u64;
    /// An address goes so many bits down.
    const SHIFT: u32;
    /// What says that an entry leads to a table.
    const TABLE: u64;
    /// What says that an entry is valid.
    const VALID: u64;

    /// The other bits of an entry that maps something.
    fn leaf(flags: MappingFlags, is_huge: bool) -> u64;

    /// The flags of an entry that maps something.
    fn flags(bits: u64) -> MappingFlags;

    /// Whether an entry above the last level maps something.
    fn is_huge(bits: u64) -> bool;
}

/// RISC-V: valid, readable, writable, executable, for users, accessed and dirty from the lowest bit; the page number above
/// bit 10. What is neither readable nor executable leads to a table.
pub struct SvLayout;

impl Layout for SvLayout {
    const ADDRESS: u64 = (1 << 54) - (1 << 10);
    const SHIFT: u32 = 2;
    const TABLE: u64 = Self::VALID;
    const VALID: u64 = 1;

    fn leaf(flags: MappingFlags, _: bool) -> u64 {
        // The four have the same order here and there.
        let bits = flags
            & (MappingFlags::READ
                | MappingFlags::WRITE
                | MappingFlags::EXECUTE
                | MappingFlags::USER);
        Self::VALID | ((bits.bits() as u64) << 1) | (1 << 6) | (1 << 7)
    }

    fn flags(bits: u64) -> MappingFlags {
        MappingFlags::from_bits_truncate((bits as usize >> 1) & 0xf)
    }

    fn is_huge(bits: u64) -> bool {
        bits & 0b1010 != 0
    }
}

/// AArch64: valid and not-a-block in the lowest bits, then for users, read-only, shareable and accessed; never executed by
/// users in bit 54.
pub struct ArmLayout;

impl Layout for ArmLayout {
    const ADDRESS: u64 = (1 << 48) - (1 << 12);
    const SHIFT: u32 = 0;
    const TABLE: u64 = 0b11;
    const VALID: u64 = 1;

    fn leaf(flags: MappingFlags, is_huge: bool) -> u64 {
        let bit = |set: bool, bit: u32| u64::from(set) << bit;
        Self::VALID
            | bit(!is_huge, 1)
            | bit(flags.contains(MappingFlags::USER), 6)
            | bit(!flags.contains(MappingFlags::WRITE), 7)
            | (0b11 << 8)
            | (1 << 10)
            | bit(!flags.contains(MappingFlags::EXECUTE), 54)
    }

    fn flags(bits: u64) -> MappingFlags {
        let mut flags = MappingFlags::READ;
        flags.set(MappingFlags::USER, bits & (1 << 6) != 0);
        flags.set(MappingFlags::WRITE, bits & (1 << 7) == 0);
        flags.set(MappingFlags::EXECUTE, bits & (1 << 54) == 0);
        flags
    }

    fn is_huge(bits: u64) -> bool {
        bits & 0b11 == 0b01
    }
}

/// An entry of some layout.
pub struct Entry<L>(u64, PhantomData<L>);

impl<L> Clone for Entry<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Entry<L> {}

impl<L> fmt::Debug for Entry<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#x})", self.0)
    }
}

impl<L: Layout> Entry<L> {
    fn put(&mut self, paddr: PhysAddr, bits: u64) {
        self.0 = ((paddr.as_usize() as u64 >> L::SHIFT) & L::ADDRESS) | bits;
    }
}

impl<L: Layout> GenericPTE for Entry<L> {
    fn new_page(paddr: PhysAddr, flags: MappingFlags, is_huge: bool) -> Self {
        let mut entry = Self(0, PhantomData);
        entry.put(paddr, L::leaf(flags, is_huge));
        entry
    }

    fn new_table(paddr: PhysAddr) -> Self {
        let mut entry = Self(0, PhantomData);
        entry.put(paddr, L::TABLE);
        entry
    }

    fn paddr(&self) -> PhysAddr {
        PhysAddr::from(((self.0 & L::ADDRESS) << L::SHIFT) as usize)
    }

    fn flags(&self) -> MappingFlags {
        if self.is_present() { L::flags(self.0) } else { MappingFlags::empty() }
    }

    fn set_paddr(&mut self, paddr: PhysAddr) {
        self.put(paddr, self.0 & !L::ADDRESS);
    }

    fn set_flags(&mut self, flags: MappingFlags, is_huge: bool) {
        self.put(self.paddr(), L::leaf(flags, is_huge));
    }

    fn bits(self) -> usize {
        self.0 as usize
    }

    fn is_unused(&self) -> bool {
        self.0 == 0
    }

    fn is_present(&self) -> bool {
        self.0 & L::VALID != 0
    }

    fn is_huge(&self) -> bool {
        L::is_huge(self.0)
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}
