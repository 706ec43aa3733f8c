//! Many threads walk real four-level tables while others map, unmap and collapse.
//!
//! Every mapping carries the page it is for and a generation in its physical address, so a walker sees at once when a table
//! under its hands has become something else.

#[path = "../common/mod.rs"]
mod common;
mod updater;
mod walker;
mod world;

use std::{sync::atomic::AtomicBool, thread};

use common::{Numbers, direct, entry, with_mm};
use ptfrag::OwnedDomain;
use ptfrag_client_x86_64::{Frames, TableMm, Tree};
use updater::Updater;
use walker::Tally;
use world::{BASE, Progress, UPDATERS, WALKERS, World, base};
use x86_64::{
    VirtAddr,
    structures::paging::{
        FrameAllocator, FrameDeallocator,
        page_table::{PageTableEntry, PageTableLevel},
    },
};

#[test]
fn tables_are_collapsed_under_walkers() {
    with_mm(200, collapse);
}

fn collapse(domain: &OwnedDomain, mm: &TableMm<'_>) {
    let mut frames = Frames::new(mm, direct());
    let root = frames.allocate_frame().expect("a page");
    // SAFETY: the root stays until all threads are gone, is written to through shared entries, and what is taken off is
    // retired or outlives all walkers.
    let tree = unsafe { Tree::new(root, direct(), &**domain) };
    let world = World {
        domain,
        tree,
        regions: Default::default(),
        wide: Progress::default(),
        seen: Default::default(),
        done: AtomicBool::new(false),
        failed: AtomicBool::new(false),
    };
    let updater = |nth: usize| {
        let mut frames = Frames::new(mm, direct());
        let scratch = frames.allocate_frame().expect("a page");
        Updater { world: &world, frames, scratch, numbers: Numbers(nth as u64) }
    };
    // The tables above the regions, which stay.
    let mut first = updater(0);
    let upper = first.build([base(0)].into_iter(), 0, PageTableLevel::Four);
    first.publish(BASE, PageTableLevel::Four, &upper);
    let off = first.publish(base(0), PageTableLevel::Two, &PageTableEntry::new());
    // SAFETY: taken off just now.
    unsafe { frames.retire_tables(&off, PageTableLevel::One) };

    let tallies: Vec<Tally> = thread::scope(|scope| {
        let walkers: Vec<_> = (0..WALKERS)
            .map(|nth| {
                let world = &world;
                scope.spawn(move || world.walk(nth))
            })
            .collect();
        scope.spawn(move || first.run(0));
        for nth in 1..UPDATERS {
            let updater = updater(nth);
            scope.spawn(move || updater.run(nth));
        }
        walkers
            .into_iter()
            .map(|walker| walker.join().expect("a walker saw something wrong"))
            .collect()
    });
    for tally in &tallies {
        let Tally { tables, huge, nothing, wide } = tally;
        assert!([tables, huge, nothing, wide].iter().all(|some| **some > 0), "{tally:?}");
    }

    for slot in 0..512 {
        let addr = VirtAddr::new_truncate(slot << 39);
        // SAFETY: all others are gone.
        let top = unsafe { entry(root, addr, PageTableLevel::Four) };
        // SAFETY: as above.
        unsafe { frames.retire_tables(&top.load(), PageTableLevel::Three) };
    }
    // SAFETY: as above.
    unsafe { frames.deallocate_frame(root) };
}
