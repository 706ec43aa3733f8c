//! Many threads walk page tables while others replace and drop them.
//!
//! Every mapping carries the page it is for and a generation in its physical address, so a walker sees at once when a table
//! under its hands has become something else.

#[macro_use]
mod common;

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
    thread,
};

use common::{Numbers, Own, entry, lowest_table};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{
    GenericPTE, MappingFlags, PageSize, PageTable64, PagingError, PagingMetaData,
};
use ptfrag_client_page_table_multiarch::Handler;

const UPDATERS: usize = 2;
const WALKERS: usize = 4;
/// What each walker sees at least: page tables that went while it was in them.
const SEEN: u64 = 30;
/// What each updater does at least.
const CHANGES: u64 = 200;
/// Pages in each page table: in 4 tables of the lowest level, in 2 above.
const PAGES: usize = 64;

fn page(number: usize) -> VirtAddr {
    VirtAddr::from(((number % 2) << 30) | ((number / 2 % 2) << 21) | (number << 12))
}

/// Where a page is mapped to in a generation.
fn target(number: usize, generation: u64) -> PhysAddr {
    assert!(generation < 1 << 16, "as much as all formats have room for");
    PhysAddr::from(((generation as usize) << 32) | page(number).as_usize())
}

/// A page table that changes.
#[derive(Default)]
struct Place {
    root: AtomicUsize,
    /// Generations that were begun, and those that walkers find.
    begun: AtomicU64,
    published: AtomicU64,
}

#[derive(Default)]
struct World {
    places: [Place; UPDATERS],
    /// For each walker, how many page tables have gone under its hands.
    seen: [AtomicU64; WALKERS],
    done: AtomicBool,
    /// A thread has panicked: the others end as well.
    failed: AtomicBool,
}

/// Tells the others when its thread panics.
struct Alarm<'w>(&'w AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Relaxed);
        }
    }
}

/// Tries again for as long as there is no memory.
fn patiently<T: Own, R>(mut work: impl FnMut() -> Result<R, PagingError>) -> R {
    loop {
        match work() {
            Ok(result) => return result,
            Err(error) => assert_eq!(error, PagingError::NoMemory),
        }
        T::domain().poll();
        thread::yield_now();
    }
}

fn replaced_under_walkers<M, P, T>()
where
    M: PagingMetaData<VirtAddr = VirtAddr>,
    P: GenericPTE,
    T: Own,
{
    let world = &World::default();
    let build = |place: &Place| {
        let generation = place.begun.load(Relaxed) + 1;
        place.begun.store(generation, Relaxed);
        let mut table = patiently::<T, _>(PageTable64::<M, P, Handler<T>>::try_new);
        let mut cursor = table.cursor();
        for number in 0..PAGES {
            let to = target(number, generation);
            patiently::<T, _>(|| {
                cursor.map(page(number), to, PageSize::Size4K, MappingFlags::READ)
            });
        }
        drop(cursor);
        // It is not written to any more.
        place.root.store(table.root_paddr().as_usize(), Release);
        place.published.store(generation, Release);
        table
    };
    let firsts: Vec<_> = world.places.iter().map(build).collect();

    let update = |place: &Place, mut current| {
        let _alarm = Alarm(&world.failed);
        let enough = || world.seen.iter().all(|seen| seen.load(Relaxed) >= SEEN);
        let mut changes = 0;
        while !world.failed.load(Relaxed) && (changes < CHANGES || !enough()) {
            // The new one is in the old one's place before that is dropped.
            current = build(place);
            T::domain().poll();
            changes += 1;
        }
        world.done.store(true, Relaxed);
        current
    };
    let walk = |nth: usize| {
        let _alarm = Alarm(&world.failed);
        let mut numbers = Numbers(nth as u64);
        while !world.done.load(Relaxed) && !world.failed.load(Relaxed) {
            let place = &world.places[numbers.below(UPDATERS as u64) as usize];
            look::<M, P, T>(place, &mut numbers, &world.seen[nth]);
        }
    };
    let lasts: Vec<_> = thread::scope(|scope| {
        (0..WALKERS).for_each(|nth| drop(scope.spawn(move || walk(nth))));
        let updaters: Vec<_> = world
            .places
            .iter()
            .zip(firsts)
            .map(|(place, first)| scope.spawn(move || update(place, first)))
            .collect();
        updaters.into_iter().map(|updater| updater.join().expect("an updater failed")).collect()
    });
    assert!(world.seen.iter().all(|seen| seen.load(Relaxed) >= SEEN));
    drop(lasts);
}

/// Goes to a table of the lowest level, and looks at all of it, with a pause in which it may go.
fn look<M: PagingMetaData, P: GenericPTE, T: Own>(
    place: &Place,
    numbers: &mut Numbers,
    seen: &AtomicU64,
) {
    let of = numbers.below(4) as usize;
    let pause = numbers.below(512) as usize;
    let guard = T::domain().read();
    let low = place.published.load(Acquire);
    let root = PhysAddr::from(place.root.load(Acquire));
    // SAFETY: who published it does not write to it any more, and under the guard nobody else does.
    let table = unsafe { lowest_table::<M, P, T>(root, page(of)) }.expect("a table for each page");
    let mut generation = None;
    for index in 0..512 {
        if index == pause {
            // Whoever has published the next but one has dropped this.
            let gone = || place.published.load(Relaxed) > generation.unwrap_or(low) + 1;
            let waited = (0..50).any(|_| {
                thread::yield_now();
                gone()
            });
            seen.fetch_add(u64::from(waited), Relaxed);
        }
        // SAFETY: as above.
        let entry: P = unsafe { entry::<P, T>(table, index) };
        if index < PAGES && index % 4 == of {
            let found = (entry.paddr().as_usize() >> 32) as u64;
            assert!(entry.is_present(), "page {index} is gone: {entry:?}");
            assert_eq!(entry.paddr(), target(index, found), "page {index} has become another");
            assert_eq!(found, *generation.get_or_insert(found), "page {index}");
        } else {
            assert!(entry.is_unused(), "page {index} was not mapped: {entry:?}");
        }
    }
    let generation = generation.expect("there were some");
    let high = place.begun.load(Relaxed);
    assert!((low..=high).contains(&generation), "{generation} is none of {low} to {high}");
    drop(guard);
}

// Each place has at most two page tables of 7 or 8 at a time; all others wait for walkers.
for_each_format!(200, replaced_under_walkers);
