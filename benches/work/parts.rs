//! What the parts of a pair cost by themselves.

use std::{
    array, iter,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use crossbeam_utils::CachePadded;
use ptfrag::{Domain, Drops, Embed, Frag, Mm, Nested, Pool, Rcu, RcuHead, Region, SpinLock, Std};
use serde::{Deserialize, Serialize};

use super::{Gate, Timing};
use crate::allocator::Block;

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Entering and leaving a user's read-side section.
    Section,
    /// A section in which a head is queued, and its callback.
    Call,
    /// Two compare-and-swaps on a word of the thread's own.
    CasOwn,
    /// Two compare-and-swaps on a word with the other thread's word 32 bytes behind it.
    CasNeighbour,
    /// Two compare-and-swaps on a word that all threads use.
    CasShared,
    /// Taking a fragment, touching it and giving it back at once, from an mm of the thread's own.
    GiveBackOwn,
    /// The same from one mm.
    GiveBackShared,
    /// Publishing a fragment with a number in it in the place of one published before, through a handle.
    PublishBytes,
    /// The same with a number in a pool.
    PublishValue,
    /// Taking a fragment of an mm without a handle, touching it and retiring it, with 64 out at a time.
    PairFlat,
    /// The same from an mm whose pages are fragments of 4 KiB of another's pages of 64.
    PairNested,
    /// An mm that is made on a region that others use too, from which a fragment is taken and retired, and that is dropped.
    #[value(name = "life-1")]
    #[serde(rename = "life-1")]
    Life1,
    /// The same with 16 fragments.
    #[value(name = "life-16")]
    #[serde(rename = "life-16")]
    Life16,
    /// The same with 200.
    #[value(name = "life-200")]
    #[serde(rename = "life-200")]
    Life200,
}

impl Part {
    /// About how many of the others it is as long as.
    #[must_use]
    pub fn weight(self) -> u64 {
        match self {
            Self::Life16 => 10,
            Self::Life200 => 100,
            _ => 1,
        }
    }
}

/// A part, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Repeat {
    /// Which.
    pub part: Part,
    /// Threads at it.
    pub threads: usize,
    /// How often on each thread.
    pub times: u64,
}

/// So many heads are in flight at most.
const HEADS: usize = 4096;

/// A head, and whether it waits.
#[repr(C)]
struct Waiting {
    head: RcuHead,
    waits: AtomicBool,
}

/// A word as far from the next as a descriptor is from the next page's.
#[repr(align(32))]
struct Word(AtomicU64);

/// Does the part.
#[must_use]
pub fn repeat(repeat: Repeat) -> Timing {
    let domain = Domain::global();
    let words: [CachePadded<[Word; 2]>; 2] =
        array::from_fn(|_| CachePadded::new([0, 0].map(|word| Word(AtomicU64::new(word)))));
    let mms: [Mm<16, 256, _>; 2] = array::from_fn(|_| {
        let region = Region::<4096>::new(16).expect("address space for the pages");
        // A block that stays out keeps the page from coming and going with the other.
        let mm = Mm::new(domain, region);
        std::mem::forget(mm.alloc());
        mm
    });
    let cas = |word: &AtomicU64| {
        for _ in 0..2 {
            let mut now = word.load(Ordering::Relaxed);
            while let Err(seen) =
                word.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                now = seen;
            }
        }
    };
    let give_back = |mm: &Mm<16, 256, ptfrag::Std<'static>>| {
        let mut frag = mm.alloc().expect("the mm has pages enough");
        frag.touch();
        frag.give_back();
    };
    match repeat.part {
        Part::Section => timed(repeat, |_| || drop(domain.read())),
        Part::Call => timed(repeat, |_| {
            let waiting = || Waiting { head: RcuHead::new(), waits: AtomicBool::new(false) };
            // They outlive their last callback for sure.
            let heads: &[_] = Vec::leak(iter::repeat_with(waiting).take(HEADS).collect());
            let mut next = 0;
            move || call(domain, &heads[post_increment(&mut next) % HEADS])
        }),
        Part::CasOwn => timed(repeat, |thread| {
            let word = &words[thread % 2][0].0;
            move || cas(word)
        }),
        Part::CasNeighbour => timed(repeat, |thread| {
            let word = &words[0][thread % 2].0;
            move || cas(word)
        }),
        Part::CasShared => timed(repeat, |_| || cas(&words[0][0].0)),
        Part::GiveBackOwn => timed(repeat, |thread| {
            let mm = &mms[thread % 2];
            move || give_back(mm)
        }),
        Part::GiveBackShared => timed(repeat, |_| || give_back(&mms[0])),
        Part::PublishBytes => {
            let mm = Mm::<16, 256, Std<'static>>::new(domain, published());
            timed(repeat, |_| {
                let mut handle = mm.local();
                in_turn(
                    domain,
                    || mm.slot(),
                    move |slot, number| {
                        let mut frag = handle.alloc().expect("the mm has pages enough");
                        frag[..8].copy_from_slice(&number.to_ne_bytes());
                        handle.publish(slot, frag);
                    },
                )
            })
        }
        Part::PublishValue => {
            let pool = Numbers::new(domain, published());
            timed(repeat, |_| {
                let mut handle = pool.handle();
                in_turn(
                    domain,
                    || pool.link(),
                    move |link, number| {
                        let value = handle.alloc(number).expect("the pool has pages enough");
                        handle.publish(link, value);
                    },
                )
            })
        }
        Part::Life1 | Part::Life16 | Part::Life200 => {
            let region = published();
            timed(repeat, |_| {
                let region = region.clone();
                move || match repeat.part {
                    Part::Life1 => life::<1>(domain, &region),
                    Part::Life16 => life::<16>(domain, &region),
                    _ => life::<200>(domain, &region),
                }
            })
        }
        Part::PairFlat => {
            let mm = Mm::<16, 256, Std<'static>>::new(domain, published());
            timed(repeat, |_| pairs(domain, &mm))
        }
        Part::PairNested => {
            let region = Region::new(1 << 12).expect("address space for the pages");
            let pages = Nested::new(Mm::new(domain, region)).expect("memory for the descriptors");
            let mm = Mm::<16, 256, Inner>::new_in(domain, pages, ());
            timed(repeat, |_| pairs(domain, &mm))
        }
    }
}

/// Parts of an mm in an mm.
struct Inner;

impl Embed for Inner {
    type Rcu = &'static Domain;
    type Source = Nested<16, 4096, Std<'static, 65536>>;
    type Lock = SpinLock;
    type Hooks = ();
}

/// Takes and retires, the one that was taken 64 before, and polls at each 64th.
fn pairs<E: Embed>(domain: &'static Domain, mm: &Mm<16, 256, E>) -> impl FnMut() {
    let mut out: Vec<Option<Frag<16, 256, E>>> = iter::repeat_with(|| None).take(64).collect();
    let mut next = 0;
    move || {
        let place = &mut out[post_increment(&mut next) % 64];
        place.take().into_iter().for_each(Frag::retire);
        let frag = place.insert(mm.alloc().expect("the mm has pages enough"));
        frag.touch();
        if next % 64 == 0 {
            domain.poll();
        }
    }
}

/// The short life of an mm with so many fragments.
fn life<const COUNT: usize>(domain: &'static Domain, region: &Region<4096>) {
    let mm = Mm::<16, 256, Std<'static>>::new(domain, region.clone());
    let frags: [_; COUNT] = array::from_fn(|_| {
        let mut frag = mm.alloc().expect("the region has pages enough");
        frag.touch();
        frag
    });
    let section = domain.read();
    frags.into_iter().for_each(Frag::retire);
    drop(section);
}

type Numbers = Pool<u64, 16, 256, Std<'static, 4096, Drops<u64>>>;

/// Publishes numbers in 64 places in turn, and polls at each first one.
fn in_turn<P>(
    domain: &'static Domain,
    place: impl Fn() -> P,
    mut publish: impl FnMut(&P, u64),
) -> impl FnMut() {
    let places: Vec<_> = iter::repeat_with(place).take(64).collect();
    let mut next = 0;
    move || {
        let nth = post_increment(&mut next);
        publish(&places[nth % 64], nth as u64);
        if nth % 64 == 0 {
            domain.poll();
        }
    }
}

fn published() -> Region<4096> {
    Region::new(1 << 16).expect("address space for the pages")
}

fn post_increment(next: &mut usize) -> usize {
    *next += 1;
    *next - 1
}

fn call(domain: &'static Domain, waiting: &'static Waiting) {
    unsafe extern "C" fn done(head: NonNull<RcuHead>) {
        // SAFETY: the head is the first field.
        let waiting = unsafe { head.cast::<Waiting>().as_ref() };
        waiting.waits.store(false, Ordering::Release);
    }
    while waiting.waits.load(Ordering::Acquire) {
        domain.poll();
    }
    waiting.waits.store(true, Ordering::Relaxed);
    let _section = domain.read();
    // SAFETY: the head is idle, and lives for ever.
    unsafe { domain.call(NonNull::from(waiting).cast(), done) };
}

fn timed<F: FnMut()>(repeat: Repeat, make: impl Fn(usize) -> F + Sync) -> Timing {
    let gate = Gate::new(repeat.threads);
    let work = |thread| {
        let mut step = make(thread);
        for _ in 0..repeat.times / 4 {
            step();
        }
        gate.pass();
        let begun = Instant::now();
        for _ in 0..repeat.times {
            step();
        }
        begun.elapsed()
    };
    let work = &work;
    let run = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..repeat.threads).map(|nth| scope.spawn(move || work(nth))).collect();
        let took = threads.into_iter().map(|thread| thread.join().expect("a thread panicked"));
        took.max().unwrap_or(Duration::ZERO)
    });
    Timing { run, total: run }
}
