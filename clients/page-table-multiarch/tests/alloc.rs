//! What the crate's own test of allocation asserts, over these frames: random pages are mapped, and now and then one is
//! unmapped; each frame fits the format and is freed once; nothing is left when the page table is gone. Besides, how many
//! tables there are, and pages.

#[macro_use]
mod common;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};

use common::{Numbers, Own};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{
    GenericPTE, MappingFlags, PageSize, PageTable64, PagingError, PagingHandler, PagingMetaData,
};
use ptfrag_client_page_table_multiarch::{FRAGS, Handler, Tables};

const PAGES: usize = 1024;

thread_local! {
    /// The frames that are out.
    static OUT: RefCell<BTreeSet<PhysAddr>> = RefCell::default();
}

fn out() -> usize {
    OUT.with_borrow(BTreeSet::len)
}

/// The handler, with a look at what it does.
struct Watched<M, T>(PhantomData<fn() -> (M, T)>);

impl<M: PagingMetaData, T: Tables> PagingHandler for Watched<M, T> {
    fn alloc_frames(num: usize, align: usize) -> Option<PhysAddr> {
        let frame = Handler::<T>::alloc_frames(num, align)?;
        assert!(M::paddr_is_valid(frame.as_usize()), "{frame:?} is too large for the format");
        assert_eq!(frame.as_usize() % align, 0);
        assert!(OUT.with_borrow_mut(|out| out.insert(frame)), "{frame:?} is handed out twice");
        Some(frame)
    }

    fn dealloc_frames(paddr: PhysAddr, num: usize) {
        assert!(OUT.with_borrow_mut(|out| out.remove(&paddr)), "{paddr:?} was not out");
        Handler::<T>::dealloc_frames(paddr, num);
    }

    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        Handler::<T>::phys_to_virt(paddr)
    }
}

fn all_come_back<M, P, T>()
where
    M: PagingMetaData<VirtAddr = VirtAddr>,
    P: GenericPTE,
    T: Own,
{
    let mask = ((1_u64 << M::VA_MAX_BITS) - 1) & !0xfff;
    let flags = MappingFlags::READ | MappingFlags::WRITE;
    let mut numbers = Numbers(7);
    let mut table = PageTable64::<M, P, Watched<M, T>>::try_new().expect("a page");
    let mut mapped: BTreeMap<usize, PhysAddr> = BTreeMap::new();
    let mut order = Vec::new();
    // The tables that a mapping has needed, by their levels and what they are for; they stay when it goes.
    let mut tables = BTreeSet::from([(M::LEVELS, 0)]);
    for _ in 0..2048 {
        let mut cursor = table.cursor();
        if mapped.is_empty() || numbers.below(4) < 3 {
            let addr = (numbers.wide() & mask) as usize;
            let to = PhysAddr::from((numbers.wide() & mask) as usize);
            let result = cursor.map(VirtAddr::from(addr), to, PageSize::Size4K, flags);
            match mapped.contains_key(&addr) {
                true => assert_eq!(result, Err(PagingError::AlreadyMapped)),
                false => {
                    assert_eq!(result, Ok(()));
                    mapped.insert(addr, to);
                    order.push(addr);
                }
            }
            tables.extend((1..M::LEVELS).map(|level| (level, addr >> (12 + 9 * level))));
        } else {
            let addr = order.swap_remove(numbers.below(order.len() as u64) as usize);
            let to = mapped.remove(&addr).expect("it is in both");
            assert_eq!(cursor.unmap(VirtAddr::from(addr)), Ok((to, flags, PageSize::Size4K)));
        }
        drop(cursor);
        assert_eq!(out(), tables.len());
    }
    for (addr, to) in &mapped {
        assert_eq!(table.query(VirtAddr::from(*addr)), Ok((*to, flags, PageSize::Size4K)));
    }
    assert!(mapped.len() > 900, "{} pages are mapped", mapped.len());
    assert_eq!(T::mm().pages(), tables.len().div_ceil(FRAGS));
    drop(table);
    assert_eq!(out(), 0, "frames are left");
}

for_each_format!(PAGES, all_come_back);
