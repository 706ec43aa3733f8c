//! That everybody does what is measured, and gives everything back.

use std::{
    collections::HashSet,
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

use clap::ValueEnum;

use crate::{
    allocator::{Allocator, Block, Handle, Setup, Sharing},
    who::{Geometry, Visit, Who, dispatch},
    work::{
        Order,
        backlog::{Backlog, By as Whose, backlog},
        beside::{Beside, Others},
        burst::Burst,
        counts::counts,
        cross::Cross,
        domains::{Domains, domains},
        grace::{Grace, graces},
        latency::{FRACTIONS, Latency},
        pair::Pair,
        parts::{Part, Repeat, repeat},
        stalled::Stalled,
        unseen::{By, Unseen, unseen},
        waits::{Waits, waits},
    },
};

/// Everybody who can, with each geometry.
fn everybody() -> impl Iterator<Item = (Who, Geometry)> {
    let all = Geometry::ALL.into_iter();
    let with = |geometry| Who::value_variants().iter().map(move |&who| (who, geometry));
    all.flat_map(with).filter(|&(who, geometry)| who.can(geometry))
}

/// Blocks held at once are different memory, also after others were retired, and they keep what is
/// written while nobody retires them.
struct Distinct;

impl Visit for Distinct {
    type Out = ();

    fn visit<A: Allocator>(self) {
        let allocator = A::new(Setup { held: 64, sharing: Sharing::OneMm });
        let mut handle = allocator.handle(0);
        for _ in 0..20 {
            let mut held: Vec<_> = (0..40).map(|_| handle.allocate()).collect();
            let addrs: HashSet<_> = held.iter_mut().map(|block| block.addr().addr()).collect();
            assert_eq!(addrs.len(), held.len());
            for (nth, block) in held.iter_mut().enumerate() {
                // SAFETY: the block is ours and has 16 bytes at least.
                unsafe { block.addr().cast::<usize>().write(nth) };
            }
            for (nth, block) in held.iter_mut().enumerate() {
                // SAFETY: as above.
                assert_eq!(unsafe { block.addr().cast::<usize>().read() }, nth);
            }
            held.into_iter().for_each(|block| handle.retire(block));
            handle.progress();
        }
        while !allocator.is_idle() {
            handle.progress();
        }
        drop(handle);
        allocator.quiesce();
    }
}

/// What was retired while a section is open does not come back before it is left.
struct Protected;

impl Visit for Protected {
    type Out = ();

    fn visit<A: Allocator>(self) {
        let allocator = A::new(Setup { held: 64, sharing: Sharing::OneMm });
        std::thread::scope(|scope| {
            let (entered, wait) = std::sync::mpsc::channel();
            let (leave, left) = std::sync::mpsc::channel::<()>();
            let allocator = &allocator;
            let reader = scope.spawn(move || {
                let mut handle = allocator.handle(1);
                handle.in_section(|| {
                    entered.send(()).unwrap();
                    // The other end is dropped when it is time.
                    assert!(left.recv().is_err());
                });
            });
            wait.recv().unwrap();
            let mut handle = allocator.handle(0);
            let mut old = HashSet::new();
            let blocks: Vec<_> = (0..40).map(|_| handle.allocate()).collect();
            // A page of which something stays in use could hand the rest out again at once.
            let mut kept = Vec::new();
            for (nth, mut block) in blocks.into_iter().enumerate() {
                if nth % 2 == 0 {
                    kept.push(block);
                } else {
                    old.insert(block.addr().addr());
                    handle.retire(block);
                }
            }
            let mut later: Vec<_> = (0..200)
                .map(|_| {
                    handle.progress();
                    handle.allocate()
                })
                .collect();
            assert!(later.iter_mut().all(|block| !old.contains(&block.addr().addr())));
            drop(leave);
            reader.join().unwrap();
            kept.into_iter().chain(later).for_each(|block| handle.retire(block));
            while !allocator.is_idle() {
                handle.progress();
            }
        });
        allocator.quiesce();
    }
}

/// What a section has found keeps its value until it is left, while two threads go on.
struct Unchanged;

impl Visit for Unchanged {
    type Out = ();

    fn visit<A: Allocator>(self) {
        let owner = A::new(Setup { held: 4, sharing: Sharing::OneMm });
        let allocator = &owner;
        let slots = &[const { AtomicPtr::<u8>::new(ptr::null_mut()) }; 2];
        // SAFETY: who calls this has the block, or found it in a section that is not left yet.
        let stamp = |addr: *mut u8| unsafe { AtomicUsize::from_ptr(addr.cast()) };
        std::thread::scope(|scope| {
            let writers = [0, 1].map(|nth| {
                scope.spawn(move || {
                    let mut handle = allocator.handle(nth);
                    let mut held = None;
                    for round in 0..5000 {
                        let mut block = handle.allocate();
                        stamp(block.addr()).store(2 * round + nth, Ordering::Relaxed);
                        slots[nth].store(block.addr(), Ordering::SeqCst);
                        held.replace(block).into_iter().for_each(|old| handle.retire(old));
                    }
                    slots[nth].store(ptr::null_mut(), Ordering::SeqCst);
                    held.into_iter().for_each(|last| handle.retire(last));
                })
            });
            let mut handle = allocator.handle(0);
            while writers.iter().any(|writer| !writer.is_finished()) {
                handle.in_section(|| {
                    let found = slots.each_ref().map(|slot| slot.load(Ordering::SeqCst));
                    for addr in found.into_iter().filter(|addr| !addr.is_null()) {
                        let before = stamp(addr).load(Ordering::Relaxed);
                        std::thread::yield_now();
                        assert_eq!(stamp(addr).load(Ordering::Relaxed), before);
                    }
                });
            }
        });
        owner.quiesce();
    }
}

/// One after the other, since the blocks of all that use the heap are counted together.
#[test]
fn everybody_keeps_the_rules() {
    for (who, geometry) in everybody().filter(|&(who, _)| who != Who::Floor) {
        dispatch::<_, true>(who, geometry, Distinct);
        dispatch::<_, true>(who, geometry, Protected);
        dispatch::<_, true>(who, geometry, Unchanged);
    }
    for (who, geometry) in everybody().filter(|&(_, geometry)| geometry == Geometry::G2x2048) {
        let burst = dispatch::<_, true>(who, geometry, Burst { blocks: 100 });
        assert!(burst.retired <= burst.back);
        assert_eq!(burst.held != 0, who != Who::Floor);
        let stalled = Stalled { rate: 10, phases: [20, 40, 20] };
        let course = dispatch::<_, true>(who, geometry, stalled);
        assert_eq!((course.pairs, course.samples.len()), (800, 4));
        let most = course.samples.iter().map(|sample| sample.in_flight).max();
        assert_eq!(most > Some(0), who != Who::Floor);
    }
    for &by in Whose::value_variants() {
        let shrinking = backlog(Backlog { by, backlog: 1000, retires: true });
        assert_eq!(shrinking.left, 0);
        assert!(shrinking.most > 0 && shrinking.first <= shrinking.longest, "{shrinking:?}");
    }
}

/// A head waits two epochs at least, whoever else is in the domain, and so does a fragment.
#[test]
fn waits_have_two_epochs() {
    for (reader, backlog) in [(false, 0), (true, 0), (false, 1000), (true, 1000)] {
        let waited = waits(Waits { reader, backlog, rounds: 2000 });
        assert_eq!(waited.backlog.count, u64::from(backlog));
        for epochs in [waited.backlog, waited.steady].into_iter().filter(|all| all.count != 0) {
            assert!(epochs.mean() >= Some(2.0) && epochs.longest >= 2, "{waited:?}");
        }
    }
    for (who, geometry) in
        [(Who::PtfragBare, Geometry::G2x2048), (Who::PtfragLocal, Geometry::G16x256)]
    {
        let graces = graces(who, geometry, Grace { reader: true, pairs: 5000 });
        assert!(graces.frags.count >= 5000 && graces.heads.count == 313, "{graces:?}");
        assert!(graces.pages.mean().is_none_or(|mean| mean >= 2.0), "{graces:?}");
        assert!(graces.heads.mean() >= Some(2.0), "{graces:?}");
        assert!(graces.frags.mean() >= Some(2.0), "{graces:?}");
    }
}

#[test]
fn many_domains() {
    let timing = domains(Domains { domains: 64, sections: 1000 });
    assert_eq!(timing.run, timing.total);
}

#[test]
fn everybody_does_the_work() {
    for (who, geometry) in everybody() {
        for (threads, sharing) in [(1, Sharing::OneMm), (2, Sharing::TwoMms), (3, Sharing::OneMm)] {
            for order in [Order::Fifo, Order::Random] {
                let pair = Pair { order, live: 4, threads, sharing, pairs: 300 };
                let timing = dispatch::<_, false>(who, geometry, pair);
                assert!(timing.run <= timing.total);
            }
        }
        let timing = dispatch::<_, false>(who, geometry, Cross { pairs: 1000 });
        assert!(timing.run <= timing.total);
        let (order, sharing) = (Order::Random, Sharing::OneMm);
        let pair = Pair { order, live: 4, threads: 2, sharing, pairs: 300 };
        let latencies = dispatch::<_, false>(who, geometry, Latency(pair));
        assert_eq!(latencies.allocate.len(), FRACTIONS.len());
        assert!(latencies.retire.is_sorted_by_key(|&(_, nanos)| nanos));
    }
}

#[test]
fn everything_unseen_goes_home() {
    for &by in By::value_variants() {
        for crossing in [false, true] {
            let timing = unseen(Unseen { by, crossing, pairs: 5000 });
            assert!(timing.run <= timing.total);
        }
    }
}

#[test]
fn beside_others() {
    for others in [Others::Asleep, Others::Ended, Others::Busy] {
        for who in [Who::PtfragLocalSection, Who::PtfragBare, Who::CrossbeamEpoch, Who::Sdd] {
            let beside = Beside { others, threads: 3, pairs: 2000, pace: 100 };
            let besides = dispatch::<_, false>(who, Geometry::G16x256, beside);
            assert!(besides.total.as_nanos() >= 200_000);
        }
    }
}

#[test]
fn parts_and_counts() {
    for &part in Part::value_variants() {
        let timing = repeat(Repeat { part, threads: 2, times: 5000 });
        assert_eq!(timing.run, timing.total);
    }
    // With two fragments to a page and one block held, each pair is alone on its page or shares it
    // with the block before: both its ends concern the list.
    let (order, sharing) = (Order::Fifo, Sharing::OneMm);
    let pair = Pair { order, live: 1, threads: 1, sharing, pairs: 1000 };
    let counts = counts(Who::PtfragBare, pair, Geometry::G2x2048);
    assert!(counts.calls > 0.5 && counts.locks > counts.calls, "{counts:?}");
    assert_eq!((counts.contended, counts.try_failed), (0.0, 0.0));
    assert_eq!(counts.pages_out, counts.pages_home);
}
