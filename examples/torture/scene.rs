//! What all threads share.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use ptfrag::OwnedDomain;

use crate::{element::Find, pool::Pool, tally::Totals};

/// The domain that is put to the test. The only place where one is made.
pub(crate) fn domain(asymmetric: bool) -> OwnedDomain {
    if asymmetric { OwnedDomain::asymmetric() } else { OwnedDomain::new() }
}

/// A domain, and what is read and retired in it.
///
/// The domain comes first, so that it is dropped first: it may run callbacks of the elements then.
pub(crate) struct Scene {
    pub(crate) domain: OwnedDomain,
    pub(crate) pools: Box<[Pool]>,
    pub(crate) totals: Totals,
    over: AtomicBool,
    /// How many threads take turns, and on how many processors.
    threads: u32,
    processors: u32,
}

impl Scene {
    pub(crate) fn new(domain: OwnedDomain, pools: usize, threads: usize) -> Self {
        let pools = (0..pools).map(|_| Pool::new(&domain)).collect();
        let (totals, over) = (Totals::new(), AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(2, |n| n.get() as u32);
        Self { domain, pools, totals, over, threads: threads as u32, processors }
    }

    /// The pool of an element that a reader looks for.
    pub(crate) fn any_pool(&self, rng: &mut Rng) -> &Pool {
        &self.pools[rng.usize(..self.pools.len())]
    }

    /// For readers in a section.
    pub(crate) fn find(&self, rng: &mut Rng) -> Find<'_> {
        self.any_pool(rng).find()
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.totals.is_wrong()
    }

    /// Whether all elements are where they are to be in the end.
    pub(crate) fn is_settled(&self) -> bool {
        self.pools.iter().all(Pool::is_settled)
    }
}

/// A thread's hours of work and of rest.
///
/// A reader that lost its processor in a section holds up all grace periods, and with many readers that is what
/// happens all the time. So threads rest now and then, as many as have no processor. That they rest for long also
/// has their records parked.
pub(crate) struct Shift<'a> {
    scene: &'a Scene,
    until: Instant,
}

impl<'a> Shift<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Self {
        Self { scene, until: Instant::now() }
    }

    /// Rests if it is time to. Outside of sections.
    pub(crate) fn go_on(&mut self, rng: &mut Rng) -> bool {
        if Instant::now() >= self.until {
            let work = Duration::from_micros(rng.u64(200..20_000));
            // One thread too many on each second processor, on average.
            let places = self.scene.processors + self.scene.processors / 2;
            let others = self.scene.threads.saturating_sub(places);
            let rest = work * others / places;
            if !rest.is_zero() {
                thread::sleep(Duration::from_micros(rng.u64(..=2 * rest.as_micros() as u64)));
            }
            self.until = Instant::now() + work;
        }
        !self.scene.is_over()
    }
}
