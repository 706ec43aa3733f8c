//! Upstream's mappers over these frames, while nobody walks.

mod common;

use std::collections::HashMap;

use common::{Counted, Numbers, OFFSET, bytes, direct, entry, mapper, with_mm};
use ptfrag_client_x86_64::{FRAGS, Tree};
use x86_64::{
    PhysAddr, VirtAddr,
    structures::paging::{
        FrameAllocator, FrameDeallocator, Mapper, OffsetPageTable, Page, PageSize, PageTableFlags,
        PhysFrame, Size1GiB, Size2MiB, Size4KiB, Translate,
        mapper::{CleanUp, MapToError, PageTableFrameMapping},
        page_table::{PageTableEntry, PageTableLevel},
    },
};

const FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

/// A page, and what it is mapped to, at a place of its own for each number.
fn pair<S: PageSize>(number: u64) -> (Page<S>, PhysFrame<S>) {
    // A size has a gigabyte's slot of its own in each half terabyte.
    let slot = (number << 39) + ((u64::from(S::SIZE.trailing_zeros()) / 9) << 30);
    let addr = VirtAddr::new_truncate(slot + number * S::SIZE % (1 << 30));
    let frame = PhysAddr::new((number + 1) * S::SIZE);
    (Page::containing_address(addr), PhysFrame::containing_address(frame))
}

/// Maps so many pages of a size; what each first byte is mapped to goes into `model`.
fn map<S: PageSize + core::fmt::Debug>(
    mapper: &mut impl Mapper<S>,
    frames: &mut impl FrameAllocator<Size4KiB>,
    model: &mut HashMap<VirtAddr, PhysAddr>,
) {
    for number in 0..20 {
        let (page, frame) = pair::<S>(number);
        // SAFETY: nothing uses the mapping.
        unsafe { mapper.map_to(page, frame, FLAGS, frames) }.expect("a free place").ignore();
        model.insert(page.start_address(), frame.start_address());
    }
}

fn unmap<S: PageSize>(mapper: &mut impl Mapper<S>) {
    for number in 0..20 {
        let (page, frame) = pair::<S>(number);
        let (was, flush) = mapper.unmap(page).expect("mapped before");
        flush.ignore();
        assert_eq!(was, frame);
    }
}

/// Has upstream free all tables below `root` in which nothing is mapped.
///
/// # Safety
/// A table is in `root`, and nobody else has a look at it or those below.
unsafe fn clean_up(root: PhysFrame, frames: &mut impl FrameDeallocator<Size4KiB>) {
    // SAFETY: passed on to the caller.
    let mut mapper = unsafe { mapper(root) };
    // SAFETY: as above.
    unsafe { mapper.clean_up(frames) };
}

#[test]
fn a_tree_of_all_sizes_is_mapped_walked_unmapped_and_cleaned_up() {
    with_mm(40, |domain, mm| {
        let mut frames = Counted::new(mm);
        let root = frames.allocate_frame().expect("a page");
        let mut model = HashMap::new();
        {
            // SAFETY: the root is zeroed and ours.
            let table = unsafe { &mut *direct().frame_to_pointer(root) };
            // SAFETY: it is empty, and physical memory is at this offset.
            let mut mapper = unsafe { OffsetPageTable::new(table, VirtAddr::new(OFFSET)) };
            map::<Size4KiB>(&mut mapper, &mut frames, &mut model);
            map::<Size2MiB>(&mut mapper, &mut frames, &mut model);
            map::<Size1GiB>(&mut mapper, &mut frames, &mut model);
        }
        // 20 slots of half a terabyte, with a table of level 3 each, one of level 2 for either small size, one of level 1.
        assert_eq!(frames.out.len(), 1 + 20 * (1 + 2 + 1));
        assert_eq!(mm.pages(), frames.out.len().div_ceil(FRAGS));

        let ends = [0, 0xfff, 0x1000, 0x1f_ffff, 0x20_0000];
        let near = model.keys().flat_map(|addr| ends.map(|more| *addr + more));
        let mut numbers = Numbers(1);
        let far =
            (0..10_000).map(|_| VirtAddr::new_truncate((numbers.next() << 16) ^ numbers.next()));
        let addrs: Vec<VirtAddr> = near.chain(far).collect();
        let theirs: Vec<_> = {
            // SAFETY: nobody else looks at the tables.
            let mapper = unsafe { mapper(root) };
            addrs.iter().map(|addr| mapper.translate_addr(*addr)).collect()
        };
        // SAFETY: nobody writes to it while it is used.
        let tree = unsafe { Tree::new(root, direct(), &**domain) };
        let guard = domain.read();
        for (addr, theirs) in addrs.iter().zip(theirs) {
            assert_eq!(tree.walk(&guard, *addr).map(|(to, _)| to), theirs, "{addr:?}");
        }
        for (addr, to) in &model {
            let size =
                tree.find(&guard, *addr, PageTableLevel::One).1.flags() & PageTableFlags::HUGE_PAGE;
            assert_eq!(tree.walk(&guard, *addr), Some((*to, FLAGS | size)));
        }
        drop(guard);

        // SAFETY: nobody else looks at the tables any more.
        let mut mapper = unsafe { mapper(root) };
        unmap::<Size4KiB>(&mut mapper);
        unmap::<Size2MiB>(&mut mapper);
        unmap::<Size1GiB>(&mut mapper);
        // SAFETY: what is empty is in nobody's use.
        unsafe { mapper.clean_up(&mut frames) };
        assert_eq!(frames.out.len(), 1, "all but the root has come back");
        // SAFETY: the tree is gone.
        unsafe { frames.deallocate_frame(root) };
    });
}

#[test]
fn tables_are_retired_as_they_are() {
    with_mm(40, |domain, mm| {
        let mut frames = Counted::new(mm);
        let root = frames.allocate_frame().expect("a page");
        {
            // SAFETY: the root is zeroed and ours.
            let mut mapper = unsafe { mapper(root) };
            map::<Size4KiB>(&mut mapper, &mut frames, &mut HashMap::new());
            map::<Size2MiB>(&mut mapper, &mut frames, &mut HashMap::new());
        }
        let before: Vec<_> = frames.out.drain().collect();
        // SAFETY: nobody writes to them.
        let contents: Vec<_> = before.iter().map(|frame| unsafe { bytes(*frame) }).collect();

        let guard = domain.read();
        let mut taken_off = 0;
        for slot in 0..512 {
            let addr = VirtAddr::new_truncate(slot << 39);
            // SAFETY: the root is ours, and there is no mapper.
            let top = unsafe { entry(root, addr, PageTableLevel::Four) };
            // SAFETY: the tables are retired next.
            let off = unsafe { top.swap(&PageTableEntry::new()) };
            taken_off += usize::from(!off.is_unused());
            // SAFETY: taken off just now.
            unsafe { frames.frames.retire_tables(&off, PageTableLevel::Three) };
        }
        assert_eq!(taken_off, 20);
        // Other tables are built meanwhile, of other frames.
        let other = frames.allocate_frame().expect("a page");
        {
            // SAFETY: the new root is zeroed and ours.
            let mut mapper = unsafe { mapper(other) };
            map::<Size4KiB>(&mut mapper, &mut frames, &mut HashMap::new());
        }
        assert!(before.iter().all(|frame| !frames.out.contains(frame)));
        for (frame, was) in before.iter().zip(&contents).filter(|(frame, _)| **frame != root) {
            // SAFETY: it is retired, and waits for the guard.
            assert!(unsafe { bytes(*frame) } == *was, "{frame:?} has changed");
        }
        drop(guard);

        for root in [root, other] {
            for slot in 0..20 {
                // SAFETY: the root is ours, and there is no mapper.
                let top = unsafe { entry(root, VirtAddr::new(slot << 39), PageTableLevel::Four) };
                // SAFETY: nobody else has the tree.
                unsafe { frames.frames.retire_tables(&top.load(), PageTableLevel::Three) };
            }
            // SAFETY: as above.
            unsafe { frames.frames.deallocate_frame(root) };
        }
    });
}

#[test]
fn without_memory_the_mapper_says_so_and_goes_on_later() {
    with_mm(1, |domain, mm| {
        let mut frames = Counted::new(mm);
        let root = frames.allocate_frame().expect("a page");
        let map = |number: u64, frames: &mut Counted<'_, '_>| {
            let (page, frame) = pair::<Size4KiB>(number);
            // SAFETY: the root is zeroed and ours.
            let mut mapper = unsafe { mapper(root) };
            // SAFETY: nothing uses the mapping.
            unsafe { mapper.map_to(page, frame, FLAGS, frames) }.map(|flush| flush.ignore())
        };
        // Three tables for each page, and one frame to be in the way.
        for number in 0..4 {
            map(number, &mut frames).expect("a frame for each table");
        }
        let spare = frames.allocate_frame().expect("a part of the page");
        assert_eq!(frames.out.len(), FRAGS - 2);
        assert!(matches!(map(4, &mut frames), Err(MapToError::FrameAllocationFailed)));
        assert_eq!(frames.out.len(), FRAGS, "two tables were linked before");

        // SAFETY: nobody else looks at the tables.
        unsafe { clean_up(root, &mut frames) };
        assert_eq!(frames.out.len(), FRAGS - 2);
        // SAFETY: nobody knows it.
        unsafe { frames.deallocate_frame(spare) };
        let mapped = (0..100).any(|_| {
            domain.barrier();
            map(4, &mut frames).is_ok()
        });
        assert!(mapped, "three frames have come back");

        for number in 0..5 {
            let page = pair::<Size4KiB>(number).0;
            // SAFETY: as above.
            unsafe { mapper(root) }.unmap(page).expect("mapped before").1.ignore();
        }
        // SAFETY: as above.
        unsafe { clean_up(root, &mut frames) };
        assert_eq!(frames.out.len(), 1);
        // SAFETY: the tree is gone.
        unsafe { frames.deallocate_frame(root) };
    });
}
