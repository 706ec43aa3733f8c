//! Freed tables wait for guards; and what happens when there are no frames, or not such ones.

#[macro_use]
mod common;

use std::collections::BTreeMap;

use common::{Own, all_tables, bytes, drive_home};
use memory_addr::{MemoryAddr, PhysAddr, VirtAddr};
use page_table_multiarch::{
    GenericPTE, MappingFlags, PageSize, PageTable64, PagingError, PagingHandler, PagingMetaData,
};
use ptfrag_client_page_table_multiarch::{FRAGS, Handler, Tables};

type Table<M, P, T> = PageTable64<M, P, Handler<T>>;

const FLAGS: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);

/// A page table in which one page is mapped, so one of as many tables as there are levels.
fn one_page<M, P, T>(addr: VirtAddr, to: usize) -> Table<M, P, T>
where
    M: PagingMetaData<VirtAddr = VirtAddr>,
    P: GenericPTE,
    T: Tables,
{
    let mut table = Table::<M, P, T>::try_new().expect("a page");
    table.cursor().map(addr, PhysAddr::from(to), PageSize::Size4K, FLAGS).expect("a page");
    table
}

/// While a guard is there, a dropped page table and one from which `copy_from` has freed something stay as they are.
fn wait<M, P, T>()
where
    M: PagingMetaData<VirtAddr = VirtAddr>,
    P: GenericPTE,
    T: Own,
{
    let addr = VirtAddr::from(0x1234_5000);
    let dropped = one_page::<M, P, T>(addr, 0x1000);
    let mut copied_to = one_page::<M, P, T>(addr, 0x2000);
    let copied_from = one_page::<M, P, T>(addr, 0x3000);
    let tables = |table: &Table<M, P, T>| {
        // SAFETY: nobody writes to it.
        let all = unsafe { all_tables::<P, T>(table.root_paddr(), M::LEVELS) };
        assert_eq!(all.len(), M::LEVELS);
        all
    };
    let mut freed = tables(&copied_to);
    freed.remove(&copied_to.root_paddr());
    freed.extend(tables(&dropped));
    // SAFETY: as above.
    let before: BTreeMap<_, _> =
        freed.iter().map(|table| (*table, unsafe { bytes::<T>(*table) })).collect();

    let guard = T::domain().read();
    copied_to.cursor().copy_from(&copied_from, VirtAddr::from(0), 1 << 30);
    assert_eq!(copied_to.query(addr), copied_from.query(addr));
    drop(dropped);
    // All other frames that there are.
    let others: Vec<_> = core::iter::from_fn(Handler::<T>::alloc_frame).collect();
    assert_eq!(others.len(), FRAGS - 3 * M::LEVELS);
    assert!(others.iter().all(|other| !freed.contains(other)));
    assert!(Table::<M, P, T>::try_new().is_err_and(|error| error == PagingError::NoMemory));
    for (table, was) in &before {
        // SAFETY: it is retired, and waits for the guard.
        assert!(unsafe { bytes::<T>(*table) } == *was, "{table:?} has changed");
    }
    drop(guard);

    others.into_iter().for_each(Handler::<T>::dealloc_frame);
    // Only what it does not share with the other.
    drop(copied_to);
    assert_eq!(copied_from.query(addr), Ok((PhysAddr::from(0x3000), FLAGS, PageSize::Size4K)));
    drop(copied_from);
}

// One page, of which three page tables have 9 or 12 frames.
for_each_format!(1, wait);

tables!(Few, 1);

type Sv48<T> = Table<common::formats::Sv<4>, common::formats::SvEntry, T>;

#[test]
fn without_memory_the_crate_says_so_and_goes_on_later() {
    let mut table = Sv48::<Few>::try_new().expect("a page");
    let map = |table: &mut Sv48<Few>, nth: usize| {
        table.cursor().map(
            VirtAddr::from(nth << 39),
            PhysAddr::from(0x1000),
            PageSize::Size4K,
            FLAGS,
        )
    };
    // The root, and three tables for each page.
    for nth in 0..5 {
        assert_eq!(map(&mut table, nth), Ok(()));
    }
    assert_eq!(map(&mut table, 5), Err(PagingError::NoMemory));
    assert_eq!(map(&mut table, 4), Err(PagingError::AlreadyMapped));
    drop(table);
    drive_home::<Few>();
    let mut table = Sv48::<Few>::try_new().expect("all have come back");
    assert_eq!(map(&mut table, 5), Ok(()));
    drop(table);
    drive_home::<Few>();
}

tables!(Single, 1);

#[test]
fn frames_come_one_at_a_time_and_aligned_to_their_size() {
    type H = Handler<Single>;
    assert_eq!(H::alloc_frames(0, 4096), None);
    assert_eq!(H::alloc_frames(2, 4096), None);
    assert_eq!(H::alloc_frames(4, 16384), None, "the root of ARMv7-A");
    assert_eq!(H::alloc_frames(1, 8192), None);
    assert_eq!(Single::mm().pages(), 0, "nothing was taken for these");
    let frame = H::alloc_frames(1, 4096).expect("a page");
    assert!(frame.is_aligned(4096_usize));
    H::dealloc_frames(frame, 1);
    drive_home::<Single>();
}

tables!(Elsewhere, 10, 0x1000_0000);

#[test]
fn physical_addresses_are_at_the_offset() {
    let addr = VirtAddr::from(0x1234_5000);
    let table: Sv48<Elsewhere> = one_page(addr, 0x1000);
    let at = Handler::<Elsewhere>::phys_to_virt(table.root_paddr());
    assert_eq!(at.as_usize() - table.root_paddr().as_usize(), Elsewhere::OFFSET);
    let word =
        Elsewhere::mm().page_word(core::ptr::NonNull::new(at.as_mut_ptr()).expect("not null"));
    assert_eq!(word.expect("a page of the source").used().len(), 4);
    assert_eq!(table.query(addr), Ok((PhysAddr::from(0x1000), FLAGS, PageSize::Size4K)));
    drop(table);
    drive_home::<Elsewhere>();
}

tables!(Twice, 1);

#[test]
#[should_panic(expected = "double free")]
fn a_second_free_is_a_panic() {
    let frame = Handler::<Twice>::alloc_frame().expect("a page");
    Handler::<Twice>::dealloc_frame(frame);
    Handler::<Twice>::dealloc_frame(frame);
}

tables!(Mine, 1);

#[test]
#[should_panic(expected = "foreign pointer")]
fn a_frame_from_elsewhere_is_a_panic() {
    Handler::<Mine>::dealloc_frame(PhysAddr::from(0x5000));
}
