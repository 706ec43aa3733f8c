//! How often ptfrag does the dear things: counted, not timed.
//!
//! ptfrag's own parts are wrapped: a lock, an RCU and a page source that count on each thread.

use std::{
    cell::Cell,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use ptfrag::{
    AllocError, Domain, Embed, Mm, PageDesc, PageSource, RawLock, Rcu, RcuFn, RcuHead, Region,
    Section, SpinLock,
};
use serde::{Deserialize, Serialize};

use super::pair::Pair;
use crate::who::{
    Geometry, Visit, Who,
    bare::{Bare, Parts},
    local::Locals,
};

/// What is counted.
#[derive(Clone, Copy)]
enum Event {
    Section,
    Call,
    Lock,
    Contended,
    TryFailed,
    PageOut,
    PageHome,
}

const EVENTS: usize = 7;

static ALL: [AtomicU64; EVENTS] = [const { AtomicU64::new(0) }; EVENTS];

struct Tally([Cell<u64>; EVENTS]);

impl Tally {
    fn flush(&self) {
        for (mine, all) in self.0.iter().zip(&ALL) {
            all.fetch_add(mine.take(), Ordering::Relaxed);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.flush();
    }
}

thread_local! {
    static MINE: Tally = const { Tally([const { Cell::new(0) }; EVENTS]) };
}

#[inline]
fn note(event: Event) {
    MINE.with(|mine| {
        let count = &mine.0[event as usize];
        count.set(count.get() + 1);
    });
}

/// A [`SpinLock`] that counts.
#[derive(Debug)]
pub struct CountingLock(SpinLock);

// SAFETY: the spin lock keeps the contract; counting touches nothing of it, and is done before the
// lock is let go.
unsafe impl RawLock for CountingLock {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        note(Event::Lock);
        if !self.0.try_lock() {
            note(Event::Contended);
            self.0.lock();
        }
    }

    fn try_lock(&self) -> bool {
        let taken = self.0.try_lock();
        note(if taken { Event::Lock } else { Event::TryFailed });
        taken
    }

    unsafe fn unlock(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }
}

/// The built-in domain, counted.
#[derive(Clone, Copy, Debug)]
pub struct CountingRcu(&'static Domain);

// SAFETY: passed on to the domain.
unsafe impl Rcu for CountingRcu {
    type Guard = Section<'static>;

    fn read(self) -> Self::Guard {
        note(Event::Section);
        Rcu::read(self.0)
    }

    fn covers(self, guard: &Self::Guard) -> bool {
        self.0.covers(guard)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        note(Event::Call);
        // SAFETY: passed on to the caller.
        unsafe { self.0.call(head, func) };
    }

    fn hurry(self) {
        self.0.hurry();
    }

    fn lane(self, guard: &Self::Guard) -> usize {
        self.0.lane(guard)
    }

    fn ticket(self) -> u64 {
        self.0.ticket()
    }

    fn recent_ticket(self) -> u64 {
        self.0.recent_ticket()
    }

    fn has_elapsed(self, ticket: u64) -> bool {
        self.0.has_elapsed(ticket)
    }

    fn gave(self, ticket: u64) -> bool {
        self.0.gave(ticket)
    }

    fn is_current(self, ticket: u64) -> bool {
        self.0.is_current(ticket)
    }
}

/// A [`Region`] that counts.
#[derive(Debug)]
pub struct CountingSource<const PAGE: usize>(Region<PAGE>);

// SAFETY: passed on to the region.
unsafe impl<const PAGE: usize> PageSource for CountingSource<PAGE> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        note(Event::PageOut);
        self.0.get()
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        note(Event::PageHome);
        // SAFETY: passed on to the caller.
        unsafe { self.0.put(page) };
    }

    fn is_scarce(&self) -> bool {
        self.0.is_scarce()
    }

    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.0.is_zeroed(page) }
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.0.desc(addr)
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: passed on to the caller.
        unsafe { self.0.addr(page) }
    }
}

/// The built-in parts, counted.
#[derive(Debug)]
pub struct Counting<const PAGE: usize>;

impl<const PAGE: usize> Embed for Counting<PAGE> {
    type Rcu = CountingRcu;
    type Source = CountingSource<PAGE>;
    type Lock = CountingLock;
    type Hooks = ();
}

impl<const PAGE: usize> Parts<PAGE> for Counting<PAGE> {
    fn mm<const N: usize, const SIZE: usize>(
        domain: &'static Domain,
        region: Region<PAGE>,
    ) -> Mm<N, SIZE, Self> {
        Mm::new_in(CountingRcu(domain), CountingSource(region), ())
    }
}

/// Events per pair.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Sections entered by the crate itself; each retirement is in one of its caller's besides.
    pub sections: f64,
    /// RCU calls, hence also callbacks.
    pub calls: f64,
    /// The mm's lock taken.
    pub locks: f64,
    /// The lock taken after waiting for it.
    pub contended: f64,
    /// Callbacks that found the lock held and came again.
    pub try_failed: f64,
    /// Pages taken from the source.
    pub pages_out: f64,
    /// Pages put back.
    pub pages_home: f64,
}

fn run<const N: usize, const SIZE: usize, const PAGE: usize>(who: Who, pair: Pair) {
    match who {
        Who::PtfragLocal => pair.visit::<Locals<N, SIZE, PAGE, false, Counting<PAGE>>>(),
        Who::PtfragLocalSection => pair.visit::<Locals<N, SIZE, PAGE, true, Counting<PAGE>>>(),
        Who::PtfragBare => pair.visit::<Bare<N, SIZE, PAGE, Counting<PAGE>>>(),
        Who::PtfragLanes => pair.visit::<Bare<N, SIZE, PAGE, Counting<PAGE>, 4>>(),
        _ => panic!("only ptfrag's events are counted"),
    };
}

/// Counts what ptfrag does at a pair.
///
/// # Panics
/// When it is not ptfrag.
#[must_use]
pub fn counts(who: Who, pair: Pair, geometry: Geometry) -> Counts {
    match geometry {
        Geometry::G16x256 => run::<16, 256, 4096>(who, pair),
        Geometry::G16x4096 => run::<16, 4096, 65536>(who, pair),
        Geometry::G4x1024 => run::<4, 1024, 4096>(who, pair),
        Geometry::G2x2048 => run::<2, 2048, 4096>(who, pair),
    }
    MINE.with(Tally::flush);
    // The quarter that warms up counts too.
    let pairs = (pair.pairs / 4 + pair.pairs) * pair.threads as u64;
    let per_pair = |event: Event| ALL[event as usize].load(Ordering::Relaxed) as f64 / pairs as f64;
    Counts {
        sections: per_pair(Event::Section),
        calls: per_pair(Event::Call),
        locks: per_pair(Event::Lock),
        contended: per_pair(Event::Contended),
        try_failed: per_pair(Event::TryFailed),
        pages_out: per_pair(Event::PageOut),
        pages_home: per_pair(Event::PageHome),
    }
}
