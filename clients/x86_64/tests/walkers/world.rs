//! What the threads share: a tree, and how far each part of it is.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use ptfrag::Domain;
use ptfrag_client_x86_64::{Direct, Tree};
use x86_64::{PhysAddr, VirtAddr};

pub const UPDATERS: usize = 2;
pub const WALKERS: usize = 4;
/// Regions of 2 MiB, whose tables of level 1 come and go.
pub const REGIONS: u64 = 8;
/// What each walker sees at least: tables that went while it was in them.
pub const SEEN: u64 = 30;
/// What each updater does at least.
pub const CHANGES: u64 = 300;

pub const REGION: u64 = 1 << 21;
/// The regions lie in one gigabyte.
pub const BASE: VirtAddr = VirtAddr::new((0x2d << 39) | (3 << 30));
/// Half a terabyte whose tables of level 3 and below come and go together.
pub const WIDE: VirtAddr = VirtAddr::new(0x21 << 39);
pub const WIDE_PAGES: u64 = 64;

pub fn base(region: u64) -> VirtAddr {
    BASE + region * REGION
}

/// The pages of `WIDE` that are mapped: in 4 tables of level 1, in 2 of level 2.
pub fn wide_page(number: u64) -> VirtAddr {
    WIDE + ((number % 2) << 30) + ((number / 2 % 2) << 21) + (number << 12)
}

/// Where `addr` is mapped to in a generation.
pub fn target(addr: VirtAddr, generation: u64) -> PhysAddr {
    PhysAddr::new((generation << 32) | (addr.as_u64() & 0xffff_ffff))
}

/// The generation of a mapping, which has to be one of `addr`.
pub fn generation(addr: VirtAddr, at: PhysAddr) -> u64 {
    let found = at.as_u64() >> 32;
    assert_eq!(target(addr, found), at, "{addr:?} is mapped to another page's place: {at:?}");
    found
}

/// How far a region is: generations that were begun, and those that walkers find.
#[derive(Default)]
pub struct Progress {
    pub begun: AtomicU64,
    pub published: AtomicU64,
}

pub struct World<'d> {
    pub domain: &'d Domain,
    pub tree: Tree<&'d Domain, Direct>,
    pub regions: [Progress; REGIONS as usize],
    pub wide: Progress,
    /// For each walker, how many tables have gone under its hands.
    pub seen: [AtomicU64; WALKERS],
    pub done: AtomicBool,
    /// A thread has panicked: the others end as well.
    pub failed: AtomicBool,
}

/// Tells the others when its thread panics.
pub struct Alarm<'w>(pub &'w AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Relaxed);
        }
    }
}
