//! What the tests have in common.
#![allow(dead_code)] // Each test uses a part.

use std::{collections::HashSet, ptr::NonNull};

use ptfrag::{Domain, OwnedDomain, Region, Std};
use ptfrag_client_x86_64::{
    Direct, FRAME, Frames, PAGE, SharedEntry, TableMm, ZeroedFrames, table_mm,
};
use x86_64::{
    PhysAddr, VirtAddr,
    structures::paging::{
        FrameAllocator, FrameDeallocator, MappedPageTable, PageTableFlags, PhysFrame, Size4KiB,
        mapper::PageTableFrameMapping,
        page_table::{PageTableEntry, PageTableLevel},
    },
};

/// Not zero, so that a physical address that is taken for a virtual one leads nowhere.
pub const OFFSET: u64 = 0x10_0000_0000;

pub fn direct() -> Direct {
    // SAFETY: a choice of this program's: its own addresses, less the offset, are the physical ones.
    unsafe { Direct::new(OFFSET) }
}

/// A domain, an mm over it with room for so many pages, and the region that they come from.
pub fn with_mm(pages: usize, test: impl FnOnce(&OwnedDomain, &TableMm<'_>)) {
    let domain = OwnedDomain::new();
    let region = Region::<PAGE>::new(pages).expect("the system has room");
    let mm = table_mm(&domain, region.clone());
    test(&domain, &mm);
    drive_home(&domain, &mm);
    assert_eq!(region.pages_out(), 0);
}

/// Runs callbacks until all pages are home.
pub fn drive_home(domain: &Domain, mm: &TableMm<'_>) {
    for _ in 0..1000 {
        if mm.pages() == 0 {
            return;
        }
        domain.barrier();
    }
    panic!("pages do not come home: {mm:?}");
}

/// The bytes of a frame.
///
/// # Safety
/// The frame is allocated, and nobody writes to it meanwhile.
pub unsafe fn bytes(frame: PhysFrame) -> [u8; FRAME] {
    let at = NonNull::new(direct().frame_to_pointer(frame)).expect("no frame lies there");
    // SAFETY: passed on to the caller.
    unsafe { at.cast().read() }
}

/// Fills a frame with a byte.
///
/// # Safety
/// The frame is allocated, and nobody else has it.
pub unsafe fn fill(frame: PhysFrame, byte: u8) {
    // SAFETY: passed on to the caller.
    unsafe { direct().frame_to_pointer(frame).write_bytes(byte, 1) };
}

/// A mapper over the tables below `root`, which is in nobody else's hands.
///
/// # Safety
/// A table is in `root`, and until the mapper is gone nobody else has a look at it or those below.
pub unsafe fn mapper<'a>(root: PhysFrame) -> MappedPageTable<'a, Direct> {
    // SAFETY: passed on to the caller.
    let table = unsafe { &mut *direct().frame_to_pointer(root) };
    // SAFETY: passed on to the caller.
    unsafe { MappedPageTable::new(table, direct()) }
}

/// The entry for `addr` at this level of a tree in nobody else's hands.
///
/// # Safety
/// A table is in `root`, those above the level are there, and there is no mapper.
pub unsafe fn entry<'a>(root: PhysFrame, addr: VirtAddr, level: PageTableLevel) -> &'a SharedEntry {
    let mut table = direct().frame_to_pointer(root);
    let mut at = PageTableLevel::Four;
    loop {
        // SAFETY: passed on to the caller.
        let entry = unsafe { SharedEntry::at(table, addr.page_table_index(at).into()) };
        if at == level {
            return entry;
        }
        table = direct().frame_to_pointer(entry.load().frame().expect("a table above the level"));
        at = at.next_lower_level().expect("above the level");
    }
}

/// An entry that maps a huge page.
pub fn huge(addr: PhysAddr) -> PageTableEntry {
    let mut entry = PageTableEntry::new();
    entry.set_addr(addr, PageTableFlags::PRESENT | PageTableFlags::HUGE_PAGE);
    entry
}

/// Frames that are counted as they come and go.
pub struct Counted<'m, 'd> {
    pub frames: Frames<'m, Std<'d, PAGE, ZeroedFrames>>,
    pub out: HashSet<PhysFrame>,
}

impl<'m, 'd> Counted<'m, 'd> {
    pub fn new(mm: &'m TableMm<'d>) -> Self {
        Self { frames: Frames::new(mm, direct()), out: HashSet::new() }
    }
}

// SAFETY: the frames are those of the wrapped ones.
unsafe impl FrameAllocator<Size4KiB> for Counted<'_, '_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = self.frames.allocate_frame()?;
        assert!(self.out.insert(frame), "{frame:?} is handed out twice");
        Some(frame)
    }
}

impl FrameDeallocator<Size4KiB> for Counted<'_, '_> {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        assert!(self.out.remove(&frame), "{frame:?} was not out");
        // SAFETY: passed on to the caller.
        unsafe { self.frames.deallocate_frame(frame) };
    }
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
}
