//! Who walks the tree, and checks all that it finds.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed},
    },
    thread,
};

use ptfrag_client_x86_64::SharedEntry;
use x86_64::{
    VirtAddr,
    structures::paging::{
        PageTableFlags, PhysFrame,
        mapper::PageTableFrameMapping,
        page_table::{PageTableEntry, PageTableLevel},
    },
};

use crate::{
    common::{Numbers, direct},
    world::{Alarm, REGIONS, WIDE, WIDE_PAGES, World, base, generation, wide_page},
};

/// What a walker has come across.
#[derive(Debug, Default)]
pub struct Tally {
    pub tables: u64,
    pub huge: u64,
    pub nothing: u64,
    pub wide: u64,
}

impl World<'_> {
    /// Goes into a region, stays in its table for a while, and looks at all of it.
    fn look(&self, region: u64, numbers: &mut Numbers, tally: &mut Tally, seen: &AtomicU64) {
        let progress = &self.regions[region as usize];
        let guard = self.domain.read();
        let low = progress.published.load(Acquire);
        let (_, value, level) = self.tree.find(&guard, base(region), PageTableLevel::Two);
        assert_eq!(level, PageTableLevel::Two);
        let generation = if value.is_unused() {
            tally.nothing += 1;
            return;
        } else if let Ok(frame) = value.frame() {
            tally.tables += 1;
            self.read_table(frame, region, numbers, seen)
        } else {
            tally.huge += 1;
            generation(base(region), value.addr())
        };
        let high = progress.begun.load(Relaxed);
        assert!((low..=high).contains(&generation), "{generation} is none of {low} to {high}");
    }

    /// Reads all entries of a table, with a pause at one of them, in which it may go.
    fn read_table(
        &self,
        frame: PhysFrame,
        region: u64,
        numbers: &mut Numbers,
        seen: &AtomicU64,
    ) -> u64 {
        let table = direct().frame_to_pointer(frame);
        // SAFETY: the table was found under the caller's guard.
        let read = |nth| unsafe { SharedEntry::at(table, nth) }.load();
        let of = |nth: u64, entry: PageTableEntry| {
            assert!(
                entry.flags().contains(PageTableFlags::PRESENT),
                "entry {nth} of {region} is gone: {entry:?}"
            );
            generation(base(region) + nth * 4096, entry.addr())
        };
        let first = of(0, read(0));
        let pause = numbers.below(512);
        for nth in 1..512 {
            if nth == pause {
                // Whoever has published the next but one has retired this.
                let gone = || self.regions[region as usize].published.load(Relaxed) > first + 1;
                if (0..50).any(|_| {
                    thread::yield_now();
                    gone()
                }) {
                    seen.fetch_add(1, Relaxed);
                }
            }
            assert_eq!(of(nth, read(nth as usize)), first, "entry {nth} of region {region}");
        }
        first
    }

    /// Walks to a page of the wide range, at once or step by step with pauses.
    fn look_wide(&self, numbers: &mut Numbers, tally: &mut Tally) {
        let addr = wide_page(numbers.below(WIDE_PAGES));
        let guard = self.domain.read();
        let low = self.wide.published.load(Acquire);
        let found = if numbers.below(2) == 0 {
            self.tree.walk(&guard, addr).map(|(to, _)| to)
        } else {
            let (_, top, _) = self.tree.find(&guard, addr, PageTableLevel::Four);
            // Whoever is below the top has all of one generation below, whatever happens to the top.
            top.frame().ok().map(|frame| step_by_step(frame, addr).start_address())
        };
        if let Some(to) = found {
            let generation = generation(addr, to);
            let high = self.wide.begun.load(Relaxed);
            assert!((low..=high).contains(&generation), "{generation} is none of {low} to {high}");
            tally.wide += 1;
        }
        // No walk finds anything beside what is mapped.
        assert_eq!(self.tree.walk(&guard, WIDE + (7_u64 << 30)), None);
    }

    /// Looks at everything until the updaters are done.
    pub fn walk(&self, nth: usize) -> Tally {
        let _alarm = Alarm(&self.failed);
        let mut numbers = Numbers(nth as u64 + 100);
        let mut tally = Tally::default();
        while !self.done.load(Relaxed) && !self.failed.load(Relaxed) {
            self.look(numbers.below(REGIONS), &mut numbers, &mut tally, &self.seen[nth]);
            for _ in 0..4 {
                self.look_wide(&mut numbers, &mut tally);
            }
        }
        tally
    }
}

/// Goes from a table of level 3, found under the caller's guard, to what is mapped at `addr`.
fn step_by_step(mut frame: PhysFrame, addr: VirtAddr) -> PhysFrame {
    for level in [PageTableLevel::Three, PageTableLevel::Two, PageTableLevel::One] {
        (0..10).for_each(|_| thread::yield_now());
        let table = direct().frame_to_pointer(frame);
        // SAFETY: the caller's guard keeps what is below, too.
        let entry = unsafe { SharedEntry::at(table, addr.page_table_index(level).into()) }.load();
        frame = entry.frame().expect("all of it stays");
    }
    frame
}
