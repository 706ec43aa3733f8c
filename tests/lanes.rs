//! Lanes: takers that are spread over several pages.

#![cfg(all(unix, feature = "std"))]

use std::{
    cell::Cell,
    collections::HashSet,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::{
        Barrier,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use ptfrag::{Domain, Embed, Lane, Mm, MmHead, OwnedDomain, RawLock, Region, SpinLock, Std};

type Mm16<'d> = Mm<16, 256, Std<'d>>;
type Frag16<'d> = ptfrag::Frag<16, 256, Std<'d>>;

fn page(frag: &Frag16<'_>) -> usize {
    frag.as_ptr().addr().get() / 4096
}

fn mm<'d>(domain: &'d Domain, region: &Region, lanes: usize) -> Mm16<'d> {
    Mm::new(domain, region.clone()).lanes(lanes)
}

/// Has the domain know this thread, as the first, second and so on: that is its lane.
fn register(domain: &Domain) {
    drop(domain.read());
}

#[test]
fn takers_in_different_lanes_take_from_different_pages() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 2);
    register(&domain);
    let mine: Vec<_> = (0..4).map(|_| mm.alloc().unwrap()).collect();
    let theirs: Vec<_> = thread::scope(|scope| {
        let take = || (0..16).map(|_| mm.alloc().unwrap()).collect();
        scope.spawn(take).join().unwrap()
    });
    let more: Vec<_> = (0..4).map(|_| mm.alloc().unwrap()).collect();
    let here: HashSet<_> = mine.iter().chain(&more).map(page).collect();
    assert_eq!(here.len(), 1, "there is one page in this lane");
    // Some may be from the other lane's page.
    let of_their_own = theirs.iter().filter(|frag| !here.contains(&page(frag))).count();
    assert!((10..=16).contains(&of_their_own), "{of_their_own}");
    assert_eq!(mm.pages(), 2);
}

#[test]
fn what_a_lane_leaves_lying_is_used_up() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 8);
    register(&domain);
    let _mine = mm.alloc().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let theirs: Vec<_> = (0..7 * 16 - 1).map(|_| mm.alloc().unwrap()).collect();
            assert_eq!(mm.pages(), 7);
            drop(theirs);
        });
    });
}

/// Only a few lanes are looked at before a page is fetched, but others the next time.
#[test]
fn far_lanes_are_looked_at_too() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 128);
    register(&domain);
    let barrier = Barrier::new(100);
    let theirs = thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|number| {
                let (mm, domain, barrier) = (&mm, &domain, &barrier);
                scope.spawn(move || {
                    register(domain);
                    // All are there at the same time, so each has a record of its own.
                    barrier.wait();
                    // One lane that is far from the first.
                    (number == 50).then(|| mm.alloc().unwrap())
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mine: Vec<_> = (0..24 * 16).map(|_| mm.alloc().unwrap()).collect();
    let there = page(&theirs[0]);
    assert!(mine.iter().any(|frag| page(frag) == there), "the idle page is left lying");
    assert!(mm.pages() <= 25);
}

#[test]
fn nothing_fails_beside_what_another_lane_has() {
    let (domain, region) = (OwnedDomain::new(), Region::new(1).unwrap());
    let mm = mm(&domain, &region, 4);
    register(&domain);
    let mine = mm.alloc().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let theirs: Vec<_> = (0..15).map(|_| mm.alloc().expect("15 are free")).collect();
            assert!(mm.alloc().is_err());
            drop(theirs);
        });
    });
    drop(mine);
    assert_eq!(region.pages_out(), 0);
}

/// Many pages in one lane, none in the other: they are fetched over one by one.
#[test]
fn pages_are_fetched_over() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 2);
    register(&domain);
    let mut mine: Vec<_> = (0..160).map(|_| mm.alloc().unwrap()).collect();
    let mut nth = 0;
    mine.retain(|_| {
        nth += 1;
        nth % 16 == 1
    });
    assert_eq!(mm.pages(), 10);
    thread::scope(|scope| {
        scope.spawn(|| {
            let theirs: Vec<_> = (0..150).map(|_| mm.alloc().unwrap()).collect();
            assert_eq!(mm.pages(), 10, "there was room on these");
            drop(theirs);
        });
    });
}

/// Parts with a lock that nobody waits for who holds another.
struct Polite<'d>(PhantomData<&'d ()>);

impl<'d> Embed for Polite<'d> {
    type Rcu = &'d Domain;
    type Source = Region;
    type Lock = PoliteLock;
    type Hooks = ();
}

struct PoliteLock(SpinLock);

thread_local! {
    static HELD: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: as the lock inside.
unsafe impl RawLock for PoliteLock {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        assert_eq!(HELD.get(), 0, "waits for a lock with another in hand");
        self.0.lock();
        HELD.set(1);
    }

    fn try_lock(&self) -> bool {
        let locked = self.0.try_lock();
        HELD.set(HELD.get() + u32::from(locked));
        locked
    }

    unsafe fn unlock(&self) {
        HELD.set(HELD.get() - 1);
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }
}

/// A holder that has stopped may stop those who need what it holds, and not who needs a lock that these
/// have taken before.
#[test]
fn nobody_waits_for_a_lane_with_another_in_hand() {
    let (domain, region) = (OwnedDomain::new(), Region::new(3).unwrap());
    let mm = Mm::<4, 1024, Polite<'_>>::new_in(&domain, region.clone(), ()).lanes(4);
    // What is left is not enough for one thread, also where they run one after the other.
    let out: Vec<_> = (0..8).map(|_| mm.alloc().unwrap()).collect();
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut held = Vec::new();
                for round in 0..2000_usize {
                    match mm.alloc() {
                        Ok(frag) => held.push(frag),
                        Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    }
                    if held.len() > round % 5 {
                        let frag = held.swap_remove(round % held.len());
                        if round % 2 == 0 {
                            let _section = domain.read();
                            frag.retire();
                        }
                    }
                    if round % 64 == 0 {
                        mm.shrink();
                    }
                }
            });
        }
    });
    assert_ne!(failed.into_inner(), 0, "not enough for a thread");
    drop((out, mm));
    while region.pages_out() != 0 {
        domain.barrier();
    }
}

#[test]
fn empty_pages_of_all_lanes_are_sent_home() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 4).keeping(32);
    let (barrier, four) = (Barrier::new(4), 0..4);
    thread::scope(|scope| {
        for _ in four {
            scope.spawn(|| {
                register(&domain);
                let frags: Vec<_> = (0..64).map(|_| mm.alloc().unwrap()).collect();
                barrier.wait();
                drop(frags);
            });
        }
    });
    let kept = mm.pages();
    assert!((16..=20).contains(&kept), "{kept}");
    assert_eq!(mm.shrink(), kept);
    assert_eq!(region.pages_out(), 0);
}

#[test]
fn a_closed_mm_keeps_no_page_in_any_lane() {
    let (domain, region) = (OwnedDomain::new(), Region::new(64).unwrap());
    let mm = mm(&domain, &region, 4).keeping(32);
    thread::scope(|scope| {
        for _ in 0..4 {
            let frags = || (0..64).map(|_| mm.alloc().unwrap()).collect::<Vec<_>>();
            scope.spawn(move || drop(frags())).join().unwrap();
        }
    });
    assert_ne!(mm.pages(), 0);
    drop(mm);
    assert_eq!(region.pages_out(), 0);
}

/// Threads in more lanes than there are, and fewer; each writes its number into what it has.
#[test]
fn a_crowd_in_lanes() {
    for (lanes, threads) in [(2, 3), (4, 2), (8, 8), (1, 4)] {
        let (domain, region) = (OwnedDomain::new(), Region::new(4096).unwrap());
        let mm = mm(&domain, &region, lanes);
        let (sender, receiver) = mpsc::channel::<Frag16<'_>>();
        thread::scope(|scope| {
            for number in 1..=threads {
                let (mm, domain, sender) = (&mm, &domain, sender.clone());
                scope.spawn(move || {
                    let stamp = |frag: &Frag16<'_>| {
                        // SAFETY: it lies in the fragment.
                        let place = unsafe { frag.as_ptr().cast::<AtomicU64>().add(2) };
                        // SAFETY: the fragment is this thread's, and aligned.
                        unsafe { place.as_ref() }
                    };
                    let mut held = Vec::new();
                    for round in 0..3000_u64 {
                        let frag = mm.alloc().unwrap();
                        stamp(&frag).store(number, Ordering::Relaxed);
                        held.push(frag);
                        if held.len() > 40 {
                            let frag = held.swap_remove((round * 7 % 40) as usize);
                            assert_eq!(stamp(&frag).load(Ordering::Relaxed), number);
                            match round % 3 {
                                0 => drop(frag),
                                1 => {
                                    let _section = domain.read();
                                    frag.retire();
                                }
                                _ => sender.send(frag).unwrap(),
                            }
                        }
                    }
                });
            }
            drop(sender);
            scope.spawn(|| {
                for frag in receiver {
                    let _section = domain.read();
                    frag.retire();
                }
            });
        });
        drop(mm);
        while region.pages_out() != 0 {
            domain.barrier();
        }
    }
}

#[test]
fn lanes_of_the_callers() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let (domain, region) =
        (&**Box::leak(Box::new(OwnedDomain::new())), Region::<4096>::new(64).unwrap());
    let lanes: &'static mut [Lane<16, Std<'static>>] =
        Box::leak([(); 4].map(|()| Lane::new()).into());
    let place = Box::leak(Box::<MmHead<16, 256, Std<'static>>>::new_uninit());
    let place: NonNull<MaybeUninit<_>> = place.into();
    // SAFETY: the place is leaked.
    let mm = unsafe { Mm::<16, 256, _>::new_at(place, |_| (), domain, region.clone(), ()) };
    let free = |lanes: NonNull<[Lane<16, Std<'static>>]>| {
        FREED.fetch_add(lanes.len(), Ordering::Relaxed);
    };
    let lanes = NonNull::from(lanes);
    // SAFETY: the lanes are leaked, and empty.
    let mm = unsafe { mm.lanes_at(lanes, free) };
    let frag = mm.alloc().unwrap();
    drop(mm);
    assert_eq!(FREED.load(Ordering::Relaxed), 0, "the page pins the head");
    drop(frag);
    assert_eq!(FREED.load(Ordering::Relaxed), 4);
    // SAFETY: the lanes have come back.
    let mm = unsafe { self::mm(domain, &region, 1).lanes_at(lanes, free) };
    drop(mm.alloc().expect("lanes may be used again"));
    drop(mm);
    assert_eq!(FREED.load(Ordering::Relaxed), 8);
    assert_eq!(region.pages_out(), 0);
}

#[test]
fn as_many_lanes_as_can_be() {
    let (domain, region) = (OwnedDomain::new(), Region::new(4).unwrap());
    drop(mm(&domain, &region, 128).alloc().unwrap());
    for count in [0, 3, 129, 256, usize::MAX] {
        let lanes = || mm(&domain, &region, count);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(lanes)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(text, "ptfrag: the number of lanes is a power of two up to 128");
    }
}

#[test]
#[should_panic(expected = "ptfrag: an mm gets lanes once")]
fn lanes_twice() {
    let (domain, region) = (OwnedDomain::new(), Region::new(4).unwrap());
    let _ = mm(&domain, &region, 4).lanes(2);
}

#[test]
#[should_panic(expected = "is set before it is used")]
fn lanes_too_late() {
    let (domain, region) = (OwnedDomain::new(), Region::new(4).unwrap());
    let mm = mm(&domain, &region, 1);
    let _frag = mm.alloc().unwrap();
    let _ = mm.lanes(4);
}
