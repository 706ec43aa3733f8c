//! Sections with and without a fence of their own, and now and then a pair in one.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use ptfrag::{Domain, Frag, Mm, OwnedDomain, Region, Std};
use serde::{Deserialize, Serialize};

use super::Gate;

/// The work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flavours {
    /// Whether readers make no fence.
    pub asymmetric: bool,
    /// Threads at it.
    pub threads: usize,
    /// A pair stands in each so manieth section, or in none.
    pub every: Option<usize>,
    /// Whether through a handle.
    pub local: bool,
    /// Sections of each thread with the clock running, after a quarter as many without.
    pub sections: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sections {
    /// Nanoseconds of a section, the slowest thread's.
    pub ns: f64,
    /// Pages at the peak: as many as were ever out at the end of one of 64 sections with a pair.
    pub pages: usize,
    /// Whether the domain is what was asked for.
    pub as_asked: bool,
}

/// Fragments that each thread holds.
const HELD: usize = 64;

type Pool = Mm<16, 256, Std<'static>>;

/// Does the work.
///
/// # Panics
/// When there is no address space for the pages.
#[must_use]
pub fn flavours(work: Flavours) -> Sections {
    let domain = if work.asymmetric { OwnedDomain::asymmetric() } else { OwnedDomain::new() };
    // The process ends with this measurement.
    let domain: &'static Domain = Box::leak(Box::new(domain));
    let mm: Pool = Mm::new(domain, Region::new(1 << 18).expect("address space for the pages"));
    let (gate, peak) = (Gate::new(work.threads), AtomicUsize::new(0));
    let one = || {
        let mut thread = Thread::new(work, domain, &mm, &peak);
        thread.go(work.sections / 4);
        gate.pass();
        let begun = Instant::now();
        thread.go(work.sections);
        begun.elapsed()
    };
    let slowest = thread::scope(|scope| {
        let threads: Vec<_> = (0..work.threads).map(|_| scope.spawn(one)).collect();
        let took = threads.into_iter().map(|thread| thread.join().expect("a thread panicked"));
        took.max().unwrap_or(Duration::ZERO)
    });
    Sections {
        ns: slowest.as_nanos() as f64 / work.sections as f64,
        pages: peak.into_inner(),
        as_asked: domain.is_asymmetric() == work.asymmetric,
    }
}

struct Thread<'a> {
    work: Flavours,
    domain: &'static Domain,
    mm: &'a Pool,
    local: Option<ptfrag::Local<16, 256, Std<'static>>>,
    held: VecDeque<Frag<16, 256, Std<'static>>>,
    peak: &'a AtomicUsize,
    pairs: usize,
}

impl<'a> Thread<'a> {
    fn new(work: Flavours, domain: &'static Domain, mm: &'a Pool, peak: &'a AtomicUsize) -> Self {
        let local = work.local.then(|| mm.local());
        let mut new = Self { work, domain, mm, local, held: VecDeque::new(), peak, pairs: 0 };
        if work.every.is_some() {
            (0..HELD).for_each(|_| new.allocate());
        }
        new
    }

    fn go(&mut self, sections: usize) {
        let Some(every) = self.work.every else {
            return (0..sections).for_each(|_| drop(black_box(self.domain.read())));
        };
        let mut left = every;
        for _ in 0..sections {
            let _guard = self.domain.read();
            left -= 1;
            if left == 0 {
                left = every;
                self.pair();
            }
        }
    }

    fn pair(&mut self) {
        self.allocate();
        let old = self.held.pop_front().expect("it holds some");
        match &mut self.local {
            Some(local) => local.retire(old),
            None => old.retire(),
        }
        self.pairs += 1;
        if self.pairs % 64 == 0 {
            self.peak.fetch_max(self.mm.pages(), Ordering::Relaxed);
        }
    }

    fn allocate(&mut self) {
        let frag = match &mut self.local {
            Some(local) => local.alloc(),
            None => self.mm.alloc(),
        };
        self.held.push_back(frag.expect("there is address space"));
    }
}
