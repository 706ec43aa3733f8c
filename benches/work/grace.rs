//! How long retired fragments wait until they are free, and pages until they are home, beside plain heads under the
//! same load: in epochs of the built-in domain.
//!
//! Each fragment has the epoch in which it was retired written in it. It is read in the hook that is called when the
//! grace period is over, and in the page source, where the latest on the page counts.

use std::{
    hint::black_box,
    ptr::NonNull,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use ptfrag::{AllocError, Domain, Embed, Hooks, Mm, PageDesc, PageSource, Region, SpinLock};
use serde::{Deserialize, Serialize};

use super::{
    epochs::{Epochs, Tally, call, now},
    pair::Holder,
};
use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::{
        Geometry, Visit, Who,
        bare::{Bare, Parts},
        local::Locals,
    },
};

/// The load: pairs of a thread that holds 64 blocks and retires any of them, and a plain head at each 16th.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grace {
    /// Whether a reader beside it enters sections and leaves them without a pause.
    pub reader: bool,
    /// Pairs that are watched, after a quarter as many that are not.
    pub pairs: u32,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Graces {
    /// From the call of a plain head to its callback.
    pub heads: Epochs,
    /// From the retirement of a fragment to the end of its grace period.
    pub frags: Epochs,
    /// From the last retirement on a page to its being at the source.
    pub pages: Epochs,
}

/// Blocks that the thread holds.
const LIVE: usize = 64;

/// Pairs to a plain head.
const PAIRS_PER_HEAD: u32 = 16;

/// Where in a fragment the epoch stands: behind the two words that a list may need.
const STAMP: usize = 2 * size_of::<usize>();

/// Fragments are multiples of this. What lies in between nobody writes, so it is zero as the page came.
const LEAST: usize = 256;

/// Whether pages that come home count.
static WATCHED: AtomicBool = AtomicBool::new(false);
static FRAGS: Tally = Tally::new();
static PAGES: Tally = Tally::new();

/// Counts a wait since `stamp`, if there is one.
fn note(tally: &Tally, stamp: u64) {
    if stamp != 0 {
        tally.note(now() - stamp);
    }
}

/// Writes the epoch, or zero, into a block of which the caller is the owner.
fn stamp(block: &mut impl Block, epoch: u64) {
    // SAFETY: a fragment has more bytes than that.
    let place = unsafe { block.addr().add(STAMP) };
    // SAFETY: the fragment is the caller's, and aligned to its size.
    unsafe { place.cast::<u64>().write(epoch) };
}

/// Watches fragments.
#[derive(Debug)]
pub struct WatchingHooks;

impl Hooks for WatchingHooks {
    fn reclaim(&self, frag: NonNull<u8>) {
        // SAFETY: a fragment has more bytes than that.
        let place = unsafe { frag.add(STAMP) };
        // SAFETY: the fragment is the hook's, with the bytes that its last user has left.
        note(&FRAGS, unsafe { place.cast::<u64>().read() });
    }
}

/// A [`Region`] that watches pages.
#[derive(Debug)]
pub struct WatchingSource<const PAGE: usize>(Region<PAGE>);

// SAFETY: passed on to the region. Its pages are written to where they are the source's.
unsafe impl<const PAGE: usize> PageSource for WatchingSource<PAGE> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        self.0.get()
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        // SAFETY: passed on to the caller.
        let base = unsafe { self.0.addr(page) };
        let mut last = 0;
        for frag in (0..PAGE).step_by(LEAST) {
            // SAFETY: within the page.
            let place = unsafe { base.add(frag + STAMP) };
            // SAFETY: the page has come back, and all of it is initialised.
            last = last.max(unsafe { place.cast::<u64>().replace(0) });
        }
        if WATCHED.load(Ordering::Relaxed) {
            note(&PAGES, last);
        }
        // SAFETY: passed on to the caller.
        unsafe { self.0.put(page) };
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.0.desc(addr)
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: passed on to the caller.
        unsafe { self.0.addr(page) }
    }
}

/// The built-in parts, watched.
#[derive(Debug)]
pub struct Watching<const PAGE: usize>;

impl<const PAGE: usize> Embed for Watching<PAGE> {
    type Rcu = &'static Domain;
    type Source = WatchingSource<PAGE>;
    type Lock = SpinLock;
    type Hooks = WatchingHooks;
}

impl<const PAGE: usize> Parts<PAGE> for Watching<PAGE> {
    fn mm<const N: usize, const SIZE: usize>(
        domain: &'static Domain,
        region: Region<PAGE>,
    ) -> Mm<N, SIZE, Self> {
        Mm::new_in(domain, WatchingSource(region), WatchingHooks)
    }
}

/// Does the work. Only once in a process: there is one count.
///
/// # Panics
/// When it is not ptfrag.
#[must_use]
pub fn graces(who: Who, geometry: Geometry, work: Grace) -> Graces {
    match geometry {
        Geometry::G16x256 => run::<16, 256, 4096>(who, work),
        Geometry::G16x4096 => run::<16, 4096, 65536>(who, work),
        Geometry::G4x1024 => run::<4, 1024, 4096>(who, work),
        Geometry::G2x2048 => run::<2, 2048, 4096>(who, work),
    }
}

fn run<const N: usize, const SIZE: usize, const PAGE: usize>(who: Who, work: Grace) -> Graces {
    match who {
        Who::PtfragLocal => work.visit::<Locals<N, SIZE, PAGE, false, Watching<PAGE>>>(),
        Who::PtfragLocalSection => work.visit::<Locals<N, SIZE, PAGE, true, Watching<PAGE>>>(),
        Who::PtfragBare => work.visit::<Bare<N, SIZE, PAGE, Watching<PAGE>>>(),
        Who::PtfragLanes => work.visit::<Bare<N, SIZE, PAGE, Watching<PAGE>, 4>>(),
        _ => panic!("only ptfrag's pages are watched"),
    }
}

impl Visit for Grace {
    type Out = Graces;

    fn visit<A: Allocator>(self) -> Graces {
        let owner = A::new(Setup { held: LIVE, sharing: Sharing::OneMm });
        let allocator = &owner;
        let heads = Tally::leaked();
        let (turn, done) = (&Barrier::new(2), &AtomicBool::new(false));
        let graces = thread::scope(|scope| {
            if self.reader {
                scope.spawn(move || {
                    let mut handle = allocator.handle(1);
                    turn.wait();
                    while !done.load(Ordering::Relaxed) {
                        handle.in_section(|| black_box(()));
                    }
                });
                turn.wait();
            }
            let mut holder = Holder::<_, true>::new(allocator.handle(0), LIVE, 0);
            let mut pair = |watched| {
                let mut fresh = holder.fresh();
                // What it was stamped with before is over.
                stamp(&mut fresh, 0);
                let mut old = holder.exchange(fresh);
                stamp(&mut old, if watched { now() } else { 0 });
                holder.handle.retire(old);
            };
            let before = FRAGS.count();
            (0..self.pairs / 4).for_each(|_| pair(false));
            WATCHED.store(true, Ordering::Relaxed);
            for nth in 0..self.pairs {
                pair(true);
                if nth % PAIRS_PER_HEAD == 0 {
                    call(heads);
                }
            }
            WATCHED.store(false, Ordering::Relaxed);
            // The load goes on, or those that wait for long would not count.
            let frags = before + u64::from(self.pairs);
            let calls = u64::from(self.pairs.div_ceil(PAIRS_PER_HEAD));
            while FRAGS.count() < frags || heads.count() < calls {
                pair(false);
            }
            done.store(true, Ordering::Relaxed);
            let graces =
                Graces { heads: heads.epochs(), frags: FRAGS.epochs(), pages: PAGES.epochs() };
            holder.end();
            graces
        });
        owner.quiesce();
        graces
    }
}
