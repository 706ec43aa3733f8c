//! The per-thread handle: what it holds, and that it lets go of it.

mod common;

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use common::{
    Bench, ByHand, Dice, Manual, Piece,
    counted::{Counted, LOCKED},
};
use ptfrag::{Embed, Hooks, Local, Mm, OwnedDomain, Rcu, Region, SpinLock, word::Word};

type Handle<const N: usize, const SIZE: usize, const PAGE: usize> = Local<N, SIZE, ByHand<PAGE>>;

fn take<const N: usize, const SIZE: usize, const PAGE: usize>(
    local: &mut Handle<N, SIZE, PAGE>,
    count: usize,
) -> Vec<Piece<N, SIZE, PAGE>> {
    (0..count).map(|_| local.alloc().unwrap()).collect()
}

fn reclaims<const N: usize, const SIZE: usize, const PAGE: usize>(
    bench: &Bench<N, SIZE, PAGE>,
) -> usize {
    bench.book.0.reclaimed.lock().unwrap().values().sum()
}

/// One call serves what lies on many pages, and the same fragments come out again without the words
/// of their pages having changed.
#[test]
fn one_call_for_many_pages() {
    let bench = Bench::<2, 2048, 4096>::new(100);
    let mut local = bench.mm().local();
    let frags = take(&mut local, 64);
    let before: BTreeSet<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
    frags.into_iter().for_each(|frag| local.retire(frag));
    // A quarter of the 64 were enough for a call, and the rest waits for the next.
    assert_eq!((bench.rcu.calls(), reclaims(&bench)), (1, 0));
    assert_eq!(bench.rcu.grace_period(), 1);
    let first = reclaims(&bench);
    assert!((1..64).contains(&first));
    let mut again = take(&mut local, first);
    assert!(again.iter().all(|frag| before.contains(&frag.as_ptr())));
    // Nothing is ready now: the rest is sent for, and meanwhile there are fresh pages.
    let fresh = take(&mut local, 1);
    assert!(!before.contains(&fresh[0].as_ptr()));
    assert_eq!((bench.rcu.calls(), bench.rcu.grace_period()), (2, 1));
    again.extend(take(&mut local, 64 - first + 1));
    let after = again.iter().filter(|frag| before.contains(&frag.as_ptr())).count();
    assert_eq!((after, reclaims(&bench)), (64, 64));
    for &addr in &before {
        let word = bench.mm().page_word(addr).unwrap();
        assert_eq!(word, Word::fresh(true), "the page word changed");
    }
    drop((again, fresh, local));
    bench.expect_home();
}

/// Without grace periods nothing comes out twice, nothing fails, and the handle holds no more than
/// it says: the rest is on its pages' words.
#[test]
fn stalled_grace_periods() {
    let bench = Bench::<16, 256, 4096>::new(1000);
    let mut local = bench.mm().local();
    let frags = take(&mut local, 8000);
    let all: BTreeSet<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
    assert_eq!(all.len(), 8000);
    let dice = Dice::new(7);
    let mut order: Vec<_> = frags.into_iter().map(|frag| (dice.below(1 << 20), frag)).collect();
    order.sort_by_key(|&(key, _)| key);
    order.into_iter().for_each(|(_, frag)| local.retire(frag));
    let on_words = |addr: &NonNull<u8>| {
        let word = bench.mm().page_word(*addr).unwrap();
        let index = addr.addr().get() % 4096 / 256;
        (word.pending() | word.next()).iter().any(|at| at == index)
    };
    let held = all.iter().filter(|addr| !on_words(addr)).count();
    assert!(held <= Handle::<16, 256, 4096>::HOLDS && held > 400, "{held}");
    assert_eq!(reclaims(&bench), 0);
    drop(local);
    bench.expect_home();
    assert_eq!(reclaims(&bench), 8000);
}

/// A thread that only retires leaves what it does not need to the pages.
#[test]
fn a_thread_that_only_retires() {
    let bench = Bench::<16, 256, 4096>::new(1000);
    let mut local = bench.mm().local();
    for frag in bench.take(4000) {
        local.retire(frag);
        bench.rcu.grace_period();
    }
    let out: usize = bench.mm().pages();
    assert!(out < 30, "{out} pages are kept");
    local.flush();
    bench.rcu.run_down();
    assert_eq!(bench.mm().pages(), 0);
    assert_eq!(reclaims(&bench), 4000);
    drop(local);
    bench.expect_home();
}

/// Churn in random order, flushed, dropped and made anew at any time: the hook runs once for each
/// retirement and everything comes home.
#[test]
fn random_churn() {
    let bench = Bench::<4, 1024, 4096>::new(4000);
    let dice = Dice::new(3);
    let mut locals = [bench.mm().local(), bench.mm().local()];
    let (mut held, mut retired) = (Vec::new(), 0);
    for _ in 0..60_000 {
        let local = &mut locals[dice.below(2)];
        match dice.below(100) {
            0 => local.flush(),
            1 => *local = bench.mm().local(),
            2..8 => drop(bench.rcu.grace_period()),
            8..54 => held.push(local.alloc().unwrap()),
            _ if held.is_empty() => {}
            choice => {
                let frag = held.swap_remove(dice.below(held.len()));
                if choice == 99 {
                    frag.give_back();
                } else {
                    local.retire(frag);
                    retired += 1;
                }
            }
        }
    }
    assert!(retired > 10_000);
    drop((held, locals));
    bench.expect_home();
    assert_eq!(reclaims(&bench), retired);
}

/// A handle that is dropped or flushed with something in each place: claimed, ready, sent, retired.
#[test]
fn dropped_with_something_everywhere() {
    for flush in [false, true] {
        let mut bench = Bench::<16, 256, 4096>::new(100);
        let mut local = bench.mm().local();
        let frags = take(&mut local, 100);
        frags.into_iter().for_each(|frag| local.retire(frag));
        assert_eq!(bench.rcu.grace_period(), 1);
        let again = take(&mut local, 2);
        let ready = reclaims(&bench);
        again.into_iter().for_each(|frag| local.retire(frag));
        let more = bench.take(60);
        more.into_iter().for_each(|frag| local.retire(frag));
        assert!(bench.rcu.calls() >= 2);
        bench.mm = None;
        if flush {
            local.flush();
        }
        drop(local);
        assert!(ready > 2);
        bench.expect_home();
        assert_eq!(reclaims(&bench), 162);
    }
}

/// With much out, a call serves 128 fragments, also after many of them; where few fit, it serves a
/// quarter of what does.
#[test]
fn batches() {
    let bench = Bench::<16, 256, 4096>::new(1000);
    let mut local = bench.mm().local();
    let mut held = VecDeque::from(take(&mut local, 1000));
    for round in 0..100_000 {
        held.push_back(local.alloc().unwrap());
        local.retire(held.pop_front().unwrap());
        if round % 16 == 0 {
            bench.rcu.grace_period();
        }
    }
    let calls = bench.rcu.calls();
    assert!((600..900).contains(&calls), "{calls} calls");

    let bench = Bench::<4, 65536, 262_144>::new(100);
    let mut local = bench.mm().local();
    let mut frags = take(&mut local, 400);
    frags.drain(..16).for_each(|frag| local.retire(frag));
    assert_eq!(bench.rcu.calls(), 0);
    local.retire(frags.remove(0));
    assert_eq!(bench.rcu.calls(), 1);
}

/// A handle takes two pages' worth one by one, so that others get the rest of a page, and then whole
/// pages.
#[test]
fn whole_pages_in_the_end() {
    for (count, pages) in [(31, 2), (32, 3), (33, 4)] {
        let bench = Bench::<16, 256, 4096>::new(10);
        let mut local = bench.mm().local();
        let mine = take(&mut local, count);
        let other = bench.take(1);
        assert_eq!(bench.mm().pages(), pages, "after {count}");
        drop((mine, other, local));
        bench.expect_home();
    }
}

/// What stood in a slot is retired through the handle that publishes something else, or clears it:
/// the handle keeps it, and hands it out again.
#[test]
fn slots() {
    let bench = Bench::<4, 64, 256>::new(100);
    let mut local = bench.mm().local();
    let slot = bench.mm().slot();
    let [first, second] = <[_; 2]>::try_from(take(&mut local, 2)).unwrap();
    let addrs = [first.as_ptr(), second.as_ptr()];
    let seen = || {
        let guard = bench.rcu.read();
        slot.load(&guard).map(|bytes| NonNull::from(bytes).cast::<u8>())
    };
    local.publish(&slot, first);
    assert_eq!(seen(), Some(addrs[0]));
    local.publish(&slot, second);
    assert_eq!(seen(), Some(addrs[1]));
    assert_eq!(format!("{local:?}"), "Local(4 x 64 bytes, holds 1)");
    local.clear(&slot);
    assert_eq!(seen(), None);
    assert_eq!(format!("{local:?}"), "Local(4 x 64 bytes, holds 2)");
    // The last of these comes from a page that is claimed whole, of which two are left.
    let rest = take(&mut local, 16);
    assert_eq!(format!("{local:?}"), "Local(4 x 64 bytes, holds 4)");
    assert_eq!(bench.rcu.grace_period(), 1);
    let again: BTreeSet<_> = take(&mut local, 20).iter().map(|frag| frag.as_ptr()).collect();
    assert!(addrs.iter().all(|addr| again.contains(addr)));
    drop((rest, slot, local));
    bench.expect_home();
}

/// A handle that was flushed while its call was in flight goes on, and gets none of it back.
#[test]
fn flushed_and_used_again() {
    let bench = Bench::<16, 256, 4096>::new(100);
    let mut local = bench.mm().local();
    let frags = take(&mut local, 16);
    frags.into_iter().for_each(|frag| local.retire(frag));
    local.retire(bench.mm().alloc().unwrap());
    assert_eq!(bench.rcu.calls(), 1);
    local.flush();
    local.flush();
    assert_eq!(format!("{local:?}"), "Local(16 x 256 bytes, holds 16)");
    let held = take(&mut local, 20);
    bench.rcu.run_down();
    held.into_iter().for_each(|frag| local.retire(frag));
    let held = take(&mut local, 40);
    held.into_iter().for_each(|frag| local.retire(frag));
    drop(local);
    bench.expect_home();
    assert_eq!(reclaims(&bench), 77);
}

/// A handle outlives its mm: it hands out what it holds, then nothing.
#[test]
fn an_mm_that_is_gone() {
    let mut bench = Bench::<4, 1024, 4096>::new(100);
    let mut local = bench.mm().local();
    // The ninth comes with the rest of its page.
    let frags = take(&mut local, 9);
    bench.mm = None;
    let rest = take(&mut local, 3);
    assert!(local.alloc().is_err());
    rest.into_iter().for_each(|frag| local.retire(frag));
    assert!(local.alloc().is_err());
    bench.rcu.run_down();
    assert!(local.alloc().is_ok());
    drop(local);
    assert_eq!(bench.region.pages_out(), 3);
    drop(frags);
    bench.expect_home();
}

/// What belongs to another mm goes back there.
#[test]
fn another_mms_fragment() {
    let bench = Bench::<4, 1024, 4096>::new(100);
    let other = Mm::<4, 1024, ByHand<4096>>::new_in(
        bench.rcu,
        bench.region.clone(),
        common::Book::default(),
    );
    let mut local = bench.mm().local();
    let frags: Vec<_> = (0..4).map(|_| other.alloc().unwrap()).collect();
    frags.into_iter().for_each(|frag| local.retire(frag));
    bench.rcu.run_down();
    assert_eq!((other.pages(), reclaims(&bench)), (0, 0));
    assert_eq!(bench.mm().pages(), 0);
}

/// What a thread's handle holds is given back when the thread panics.
#[test]
fn a_panic() {
    let bench = Bench::<4, 1024, 4096>::new(100);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut local = bench.mm().local();
        let frags = take(&mut local, 30);
        frags.into_iter().for_each(|frag| local.retire(frag));
        panic!("on purpose");
    }));
    assert!(panic.is_err());
    bench.expect_home();
}

/// Retiring takes no lock, and neither does a steady state.
#[test]
fn no_lock() {
    let (rcu, region) = (Manual::new(), Region::new(1000).unwrap());
    let mm = Mm::<16, 256, Counted>::new_in(rcu, region.clone(), ());
    let mut local = mm.local();
    let frags: Vec<_> = (0..3000).map(|_| local.alloc().unwrap()).collect();
    let before = LOCKED.load(Ordering::Relaxed);
    frags.into_iter().for_each(|frag| local.retire(frag));
    assert_eq!(LOCKED.load(Ordering::Relaxed), before, "retire took the lock");
    local.flush();
    rcu.run_down();
    let mut held = VecDeque::new();
    let mut round = |rounds: usize| {
        for at in 0..rounds {
            held.push_back(local.alloc().unwrap());
            if held.len() > 64 {
                held.pop_front().into_iter().for_each(|frag| local.retire(frag));
            }
            if at % 32 == 0 {
                rcu.grace_period();
            }
        }
        LOCKED.load(Ordering::Relaxed)
    };
    let (warm, after) = (round(1000), round(10_000));
    assert_eq!(after, warm, "the steady state takes the lock");
    drop((held, local));
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// Four threads with the built-in RCU: slots published through handles, readers, fragments that
/// another thread retires.
#[test]
fn threads() {
    const THREADS: usize = 4;
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(10_000).unwrap();
    let mm = Mm::<16, 256, _>::new(&domain, region.clone());
    let slots: Vec<_> = (0..64).map(|_| mm.slot()).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (mm, slots, domain) = (&mm, &slots, &domain);
            scope.spawn(move || {
                let dice = Dice::new(thread as u64 + 11);
                let mut local = mm.local();
                for round in 0..20_000_u64 {
                    let mut frag = local.alloc().unwrap();
                    for word in frag.chunks_exact_mut(8) {
                        word.copy_from_slice(&(round << 8 | thread as u64).to_ne_bytes());
                    }
                    local.publish(&slots[dice.below(slots.len())], frag);
                    let guard = domain.read();
                    for _ in 0..3 {
                        if let Some(seen) = slots[dice.below(slots.len())].load(&guard) {
                            assert!(seen.chunks_exact(8).all(|word| word == &seen[..8]));
                        }
                    }
                    drop(guard);
                    if dice.below(500) == 0 {
                        local.clear(&slots[dice.below(slots.len())]);
                        local.flush();
                    }
                }
            });
        }
    });
    drop((slots, mm));
    // Callbacks call again, a few times over.
    (0..16).for_each(|_| domain.barrier());
    assert_eq!(region.pages_out(), 0);
}

static HOOKED: AtomicUsize = AtomicUsize::new(0);

/// Counts, and takes and retires in the mm that it is a hook of.
struct Counts;

impl Hooks for Counts {
    fn reclaim(&self, _: NonNull<u8>) {
        HOOKED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The hook runs in the callback, not in the handle's own operations.
#[test]
fn the_hook_runs_in_the_callback() {
    let (rcu, region) = (Manual::new(), Region::new(100).unwrap());
    let mm = Mm::<16, 256, ByHand<4096, Counts>>::new_in(rcu, region, Counts);
    let mut local = mm.local();
    let frags: Vec<_> = (0..16).map(|_| local.alloc().unwrap()).collect();
    frags.into_iter().for_each(|frag| local.retire(frag));
    let section = rcu.read();
    local.retire(mm.alloc().unwrap());
    assert_eq!(HOOKED.load(Ordering::Relaxed), 0);
    drop(section);
    rcu.grace_period();
    assert_eq!(HOOKED.load(Ordering::Relaxed), 16);
    drop(local);
    rcu.run_down();
    assert_eq!(HOOKED.load(Ordering::Relaxed), 17);
}

/// RCU whose next call panics when it is told to.
#[derive(Clone, Copy)]
struct Grumpy(Manual);

static ARMED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: as `Manual`, but for calls that never happen.
unsafe impl Rcu for Grumpy {
    type Guard = <Manual as Rcu>::Guard;

    fn read(self) -> Self::Guard {
        self.0.read()
    }

    fn covers(self, guard: &Self::Guard) -> bool {
        self.0.covers(guard)
    }

    unsafe fn call(self, head: NonNull<ptfrag::RcuHead>, func: ptfrag::RcuFn) {
        assert_eq!(ARMED.swap(0, Ordering::Relaxed), 0, "no call today");
        // SAFETY: passed on to the caller.
        unsafe { self.0.call(head, func) };
    }
}

struct Grumbling;

impl Embed for Grumbling {
    type Rcu = Grumpy;
    type Source = Region<4096>;
    type Lock = SpinLock;
    type Hooks = ();
}

/// A panic inside a retirement does not free at once what readers may still see.
#[test]
fn a_panic_inside_a_retirement() {
    let (rcu, region) = (Manual::new(), Region::new(100).unwrap());
    let mm = Mm::<16, 256, Grumbling>::new_in(Grumpy(rcu), region, ());
    let mut local = mm.local();
    let mut frags: Vec<_> = (0..17).map(|_| local.alloc().unwrap()).collect();
    let last = frags.pop().unwrap();
    let addr = last.as_ptr();
    frags.into_iter().for_each(|frag| local.retire(frag));
    ARMED.store(1, Ordering::Relaxed);
    // This one makes the call for those before it.
    assert!(catch_unwind(AssertUnwindSafe(|| local.retire(last))).is_err());
    let word = mm.page_word(addr).unwrap();
    let index = addr.addr().get() % 4096 / 256;
    assert!(word.pending().iter().any(|at| at == index), "{word}");
}

/// Large fragments, of which a handle holds few: one that only retires does not stay full, with a
/// call for each fragment.
#[test]
fn large_fragments() {
    let bench = Bench::<4, 65536, 262144>::new(400);
    let mut local = bench.mm().local();
    let out = take(&mut local, 1000);
    assert_eq!(Handle::<4, 65536, 262144>::HOLDS, 64);
    for frag in out {
        local.retire(frag);
        bench.rcu.grace_period();
    }
    assert!(bench.rcu.calls() < 500, "{} calls", bench.rcu.calls());
    drop(local);
    bench.expect_home();
}
