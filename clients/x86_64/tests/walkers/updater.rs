//! Who changes the tree: builds privately, publishes, takes off, retires.

use std::{
    sync::atomic::Ordering::{Relaxed, Release},
    thread,
};

use ptfrag::Std;
use ptfrag_client_x86_64::{Frames, PAGE, ZeroedFrames};
use x86_64::{
    VirtAddr,
    structures::paging::{
        FrameDeallocator, Mapper, Page, PageTableFlags, PhysFrame, Size4KiB,
        mapper::{CleanUp, MapToError},
        page_table::{PageTableEntry, PageTableLevel},
    },
};

use crate::{
    common::{Numbers, entry, huge, mapper},
    world::{
        Alarm, CHANGES, REGIONS, SEEN, UPDATERS, WIDE, WIDE_PAGES, World, base, generation, target,
        wide_page,
    },
};

/// A thread that changes the tree.
pub struct Updater<'w, 'd> {
    pub world: &'w World<'w>,
    pub frames: Frames<'w, Std<'d, PAGE, ZeroedFrames>>,
    /// A tree that nobody else knows, in which the mapper builds.
    pub scratch: PhysFrame,
    pub numbers: Numbers,
}

impl Updater<'_, '_> {
    /// Maps pages in the scratch tree, and takes off what they hang on at this level.
    pub fn build(
        &mut self,
        pages: impl Iterator<Item = VirtAddr> + Clone,
        to: u64,
        level: PageTableLevel,
    ) -> PageTableEntry {
        let first = pages.clone().next().expect("there are some");
        {
            // SAFETY: the scratch tree is this thread's.
            let mut mapper = unsafe { mapper(self.scratch) };
            for addr in pages {
                let page = Page::<Size4KiB>::containing_address(addr);
                let frame = PhysFrame::containing_address(target(addr, to));
                let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
                let mut map = || {
                    // SAFETY: nothing uses the mapping.
                    unsafe { mapper.map_to(page, frame, flags, &mut self.frames) }
                        .map(|flush| flush.ignore())
                };
                while let Err(error) = map() {
                    assert!(matches!(error, MapToError::FrameAllocationFailed), "{error:?}");
                    self.world.domain.poll();
                    thread::yield_now();
                }
            }
        }
        // SAFETY: the tables were made above, and the mapper is gone.
        let top = unsafe { entry(self.scratch, first, level) };
        // SAFETY: what comes off is published next.
        unsafe { top.swap(&PageTableEntry::new()) }
    }

    /// Publishes another entry for what is at `addr`, and gives back what was there.
    pub fn publish(
        &self,
        addr: VirtAddr,
        level: PageTableLevel,
        new: &PageTableEntry,
    ) -> PageTableEntry {
        let guard = self.world.domain.read();
        let (entry, _, at) = self.world.tree.find(&guard, addr, level);
        assert_eq!(at, level);
        // SAFETY: its tables were built by this thread alone, and callers retire what they get.
        unsafe { entry.swap(new) }
    }

    /// Another generation of a region: tables of 4 KiB pages, one of 2 MiB, or nothing.
    fn change(&mut self, region: u64) {
        let world = self.world;
        let progress = &world.regions[region as usize];
        let to = progress.begun.load(Relaxed) + 1;
        progress.begun.store(to, Relaxed);
        let new = match self.numbers.below(4) {
            0 => PageTableEntry::new(),
            1 => huge(target(base(region), to)),
            _ => self.build((0..512).map(|nth| base(region) + nth * 4096), to, PageTableLevel::Two),
        };
        let off = self.publish(base(region), PageTableLevel::Two, &new);
        progress.published.store(to, Release);
        // SAFETY: taken off just now.
        unsafe { self.frames.retire_tables(&off, PageTableLevel::One) };
    }

    /// Another generation of the wide range, or nothing; what was there is retired, or unmapped and cleaned up by the mapper.
    fn change_wide(&mut self) {
        let world = self.world;
        let to = world.wide.begun.load(Relaxed) + 1;
        world.wide.begun.store(to, Relaxed);
        let new = match self.numbers.below(3) {
            0 => PageTableEntry::new(),
            _ => self.build((0..WIDE_PAGES).map(wide_page), to, PageTableLevel::Four),
        };
        let off = self.publish(WIDE, PageTableLevel::Four, &new);
        world.wide.published.store(to, Release);
        if off.is_unused() || self.numbers.below(2) == 0 {
            // SAFETY: taken off just now.
            return unsafe { self.frames.retire_tables(&off, PageTableLevel::Three) };
        }
        // The mapper's way, which writes into the tables: when no walker is there any more.
        world.domain.synchronize();
        // SAFETY: the scratch tree is this thread's.
        let top = unsafe { entry(self.scratch, WIDE, PageTableLevel::Four) };
        // SAFETY: the mapper frees these tables below.
        assert!(unsafe { top.swap(&off) }.is_unused());
        // SAFETY: the scratch tree is this thread's, with all that is in it now.
        let mut mapper = unsafe { mapper(self.scratch) };
        let mut generations = Vec::new();
        for addr in (0..WIDE_PAGES).map(wide_page) {
            let (frame, flush) =
                mapper.unmap(Page::<Size4KiB>::containing_address(addr)).expect("mapped");
            flush.ignore();
            generations.push(generation(addr, frame.start_address()));
        }
        assert!(generations.iter().all(|one| *one == generations[0] && *one < to));
        // SAFETY: nobody else has these tables.
        unsafe { mapper.clean_up(&mut self.frames) };
        assert!(mapper.level_4_table().is_empty());
    }

    /// Changes its share of the regions until it and all walkers have had enough.
    pub fn run(mut self, mine: usize) {
        let world = self.world;
        let _alarm = Alarm(&world.failed);
        let enough = || world.seen.iter().all(|seen| seen.load(Relaxed) >= SEEN);
        let mut changes = 0;
        while !world.failed.load(Relaxed) && (changes < CHANGES || !enough()) {
            if mine == 0 && changes % 8 == 0 {
                self.change_wide();
            }
            let region =
                self.numbers.below(REGIONS / UPDATERS as u64) * UPDATERS as u64 + mine as u64;
            self.change(region);
            world.domain.poll();
            changes += 1;
        }
        // Another updater may go on, but the walkers have what they need.
        world.done.store(true, Relaxed);
        // SAFETY: nobody else knows the scratch tree.
        let mut mapper = unsafe { mapper(self.scratch) };
        // SAFETY: as above, and nothing is mapped there.
        unsafe { mapper.clean_up(&mut self.frames) };
        assert!(mapper.level_4_table().is_empty());
        // SAFETY: the tree is gone.
        unsafe { self.frames.deallocate_frame(self.scratch) };
    }
}
