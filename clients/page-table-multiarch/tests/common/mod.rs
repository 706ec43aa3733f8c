//! What the tests have in common.
#![allow(dead_code)] // Each test uses a part.

pub mod formats;

use std::collections::BTreeSet;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{GenericPTE, PagingHandler, PagingMetaData};
use ptfrag::{Domain, Std};
use ptfrag_client_page_table_multiarch::{Handler, Tables};

/// The parts of all mms here.
pub type Parts = Std<'static, 65536>;

/// Tables of a test, over a domain of its own: it waits for no other test's readers.
pub trait Own: Tables<Parts = Parts> {
    fn domain() -> &'static Domain;
}

/// A type whose tables come from an mm of its own, with room for so many pages.
macro_rules! tables {
    ($name:ident, $pages:expr) => {
        tables!($name, $pages, 0);
    };
    ($name:ident, $pages:expr, $offset:expr) => {
        struct $name;

        // SAFETY: always the same mm, at this process's addresses less the offset, of which none is zero. Page tables alone
        // use the handler, but in tests of what happens otherwise.
        unsafe impl ptfrag_client_page_table_multiarch::Tables for $name {
            type Parts = common::Parts;

            const OFFSET: usize = $offset;

            fn mm() -> &'static ptfrag_client_page_table_multiarch::TableMm<Self::Parts> {
                use ptfrag_client_page_table_multiarch::TableMm;
                static MM: std::sync::LazyLock<TableMm<common::Parts>> =
                    std::sync::LazyLock::new(|| {
                        let pages = ptfrag::Region::new($pages).expect("the system has room");
                        ptfrag::Mm::new(<$name as common::Own>::domain(), pages)
                    });
                &MM
            }
        }

        impl common::Own for $name {
            fn domain() -> &'static ptfrag::Domain {
                static DOMAIN: std::sync::LazyLock<ptfrag::OwnedDomain> =
                    std::sync::LazyLock::new(ptfrag::OwnedDomain::new);
                &DOMAIN
            }
        }
    };
}

/// Makes a test of `$run` for each format that there is: the crate's own for this processor, and for every processor those in
/// `formats`.
macro_rules! for_each_format {
    ($pages:expr, $run:ident) => {
        for_each_format!(@ $pages, $run, like_sv39, common::formats::Sv<3>, common::formats::SvEntry);
        for_each_format!(@ $pages, $run, like_sv48, common::formats::Sv<4>, common::formats::SvEntry);
        for_each_format!(@ $pages, $run, like_aarch64, common::formats::Arm, common::formats::ArmEntry);
        #[cfg(target_arch = "x86_64")]
        for_each_format!(@ $pages, $run, x86_64,
            page_table_multiarch::x86_64::X64PagingMetaData, page_table_entry::x86_64::X64PTE);
        #[cfg(target_arch = "aarch64")]
        for_each_format!(@ $pages, $run, aarch64,
            page_table_multiarch::aarch64::A64PagingMetaData, page_table_entry::aarch64::A64PTE);
        #[cfg(target_arch = "riscv64")]
        for_each_format!(@ $pages, $run, sv39,
            page_table_multiarch::riscv::Sv39MetaData<memory_addr::VirtAddr>, page_table_entry::riscv::Rv64PTE);
        #[cfg(target_arch = "riscv64")]
        for_each_format!(@ $pages, $run, sv48,
            page_table_multiarch::riscv::Sv48MetaData<memory_addr::VirtAddr>, page_table_entry::riscv::Rv64PTE);
    };
    (@ $pages:expr, $run:ident, $name:ident, $meta:ty, $entry:ty) => {
        #[test]
        fn $name() {
            tables!(Here, $pages);
            $run::<$meta, $entry, Here>();
            common::drive_home::<Here>();
        }
    };
}

/// Runs callbacks until all pages are home.
pub fn drive_home<T: Own>() {
    for _ in 0..1000 {
        if T::mm().pages() == 0 {
            return;
        }
        T::domain().barrier();
    }
    panic!("pages do not come home: {:?}", T::mm());
}

/// The entry at this index of the table at a physical address.
///
/// # Safety
/// There is a table, and nobody writes to the entry meanwhile.
pub unsafe fn entry<P: GenericPTE, T: Tables>(table: PhysAddr, index: usize) -> P {
    assert!(index < 512);
    let first = Handler::<T>::phys_to_virt(table).as_ptr_of::<P>();
    // SAFETY: a table is 512 entries.
    let entry = unsafe { first.add(index) };
    // SAFETY: passed on to the caller.
    unsafe { entry.read() }
}

/// The table of the lowest level in which the entry for `addr` is, if there is one.
///
/// # Safety
/// There is a tree below `root`, and nobody writes to it meanwhile.
pub unsafe fn lowest_table<M, P, T>(root: PhysAddr, addr: VirtAddr) -> Option<PhysAddr>
where
    M: PagingMetaData,
    P: GenericPTE,
    T: Tables,
{
    (1..M::LEVELS).rev().try_fold(root, |table, level| {
        // SAFETY: passed on to the caller.
        let entry: P = unsafe { entry::<P, T>(table, (addr.as_usize() >> (12 + 9 * level)) % 512) };
        (entry.is_present() && !entry.is_huge()).then(|| entry.paddr())
    })
}

/// All tables of a tree.
///
/// # Safety
/// As for [`lowest_table`].
pub unsafe fn all_tables<P: GenericPTE, T: Tables>(
    root: PhysAddr,
    levels: usize,
) -> BTreeSet<PhysAddr> {
    let mut all = BTreeSet::from([root]);
    if levels > 1 {
        for index in 0..512 {
            // SAFETY: passed on to the caller.
            let entry: P = unsafe { entry::<P, T>(root, index) };
            if entry.is_present() && !entry.is_huge() {
                // SAFETY: passed on to the caller.
                all.extend(unsafe { all_tables::<P, T>(entry.paddr(), levels - 1) });
            }
        }
    }
    all
}

/// The bytes of a table.
///
/// # Safety
/// There is one, and nobody writes to it meanwhile.
pub unsafe fn bytes<T: Tables>(table: PhysAddr) -> [u8; 4096] {
    // SAFETY: passed on to the caller.
    unsafe { Handler::<T>::phys_to_virt(table).as_ptr_of::<[u8; 4096]>().read() }
}

/// Numbers that look random, always the same ones.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        // A linear congruential generator's upper half.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn wide(&mut self) -> u64 {
        (self.next() << 32) | self.next()
    }
}
