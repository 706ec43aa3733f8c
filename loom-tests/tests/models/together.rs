//! The allocator on the built-in domain, the real one. The other models of the allocator have a
//! smaller RCU, to stay exhaustive.

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread::yield_now,
};
use ptfrag::{Domain, Frag, Mm, OwnedDomain, Rcu};

use crate::support::*;

type Real<const PAGE: usize> = Env<PAGE, &'static Domain>;
type RealMm<const N: usize, const PAGE: usize> = Mm<N, SIZE, Real<PAGE>>;
type RealFrag<const N: usize, const PAGE: usize> = Frag<N, SIZE, Real<PAGE>>;

/// Plays a scene with a domain, which goes first and runs what is queued; then all must be home.
fn explore_on_domain<const PAGE: usize, S: Fn(&'static Domain) + Send + Sync + 'static>(
    bound: Option<usize>,
    pages: usize,
    scene: S,
) {
    check::<S>(2, bound, move || {
        let stage = Stage::set(2, pages, PAGE);
        let domain = Shared::new(OwnedDomain::new());
        scene(domain.get());
        drop(domain.end());
        stage.strike();
    });
}

/// A published fragment is retired under a reader, comes back, and is used again.
///
/// ```text
/// setup   0 published, 1 used; page unlisted
/// reader                          owner
/// enter; load slot                clear the slot: retire 0, call
/// read 0                          polls: advance, tag; advance; advance, callback: 0 -> F, link
/// leave                           take 0 and write it
/// ```
///
/// Rule 5. Two threads, at most 3 preemptions. Fails with a race when the domain's sections begin
/// without their fence, or have it before the announcement.
#[test]
fn reader_against_reuse() {
    explore_on_domain::<128, _>(Some(3), 1, |domain| {
        let mm: Shared<RealMm<2, 128>> = Shared::new(mm_on(domain));
        let [frag, last] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let addr = frag.as_ptr();
        let slot = Shared::new(mm.slot());
        slot.publish(frag);
        let reader = spawn(move || {
            let section = Rcu::read(domain);
            if let Some(seen) = slot.load(&section) {
                read(std::ptr::NonNull::from(seen).cast());
            }
        });
        Stage::with(|stage| stage.retired(addr));
        slot.clear();
        for _ in 0..3 {
            domain.poll();
        }
        let word = mm.page_word(addr).expect("a page of the source");
        let again = if word.free().is_empty() { None } else { take(&mm, 0) };
        reader.join().unwrap();
        again.into_iter().chain([last]).for_each(retire);
        drop(slot.end());
        drop(mm.end());
    });
}

/// A page goes home under a looker, and to a second mm.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                          main
/// enter; first = page             give back 0: unlink; ticket; home
/// load word                       the clock moves on: two grace periods
/// CAS, or start over              b takes the page
/// leave
/// ```
///
/// Rule 6. Two threads, at most 3 preemptions. Fails with another mm's fragment when `take_first`
/// looks without a section, or leaves it before it takes.
#[test]
fn looker_against_release() {
    explore_on_domain::<256, _>(Some(3), 1, |domain| {
        let a: Shared<RealMm<4, 256>> = Shared::new(mm_on(domain));
        let b: Shared<RealMm<4, 256>> = Shared::new(mm_on(domain));
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        domain.synchronize();
        let next = take(&b, 1);
        let found: Option<RealFrag<4, 256>> = looker.join().unwrap();
        found.into_iter().chain(next).for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

/// The mm is dropped with a call in flight while another thread runs the callbacks.
///
/// ```text
/// setup   P = {0}, 1 used
/// owner                           other
/// retire 1: X, or P               polls: advance, take over; the callbacks: release,
/// close; unpin                    and the head goes with the last page or with its owner
/// ```
///
/// Rule 11. Two threads, at most 3 preemptions. Fails with a use after the end when a page lets its
/// pin go before the source has it, or before the hook is called.
#[test]
fn drop_while_another_polls() {
    explore_on_domain::<128, _>(Some(3), 1, |domain| {
        let owned: RealMm<2, 128> = mm_on(domain);
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        retire(first);
        domain.poll();
        let owner = spawn(move || {
            retire(last);
            drop(owned);
        });
        for _ in 0..3 {
            domain.poll();
        }
        owner.join().unwrap();
    });
}

/// A thread queues a page's head and then sleeps for ever; another frees on that page, and polls.
///
/// ```text
/// setup   the sleeper has a record, and has not polled for four epochs; 0, 1 used
/// sleeper                         other
/// retire 0: P, call; or X         retire 1: X, or P and a call
/// flag                            polls: take over what the sleeper has queued, if it has
/// never polls                     flag; polls: take it over; the callbacks; the page goes home
/// ```
///
/// Rule 16. Two threads, at most 3 preemptions. Fails when a poll looks only after its own queue.
#[test]
fn sleeping_queuer() {
    explore_on_domain::<128, _>(at_length(Some(3)), 1, |domain| {
        let mm: Shared<RealMm<2, 128>> = Shared::new(mm_on(domain));
        let [first, last] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        domain.synchronize();
        domain.synchronize();
        let asleep = Shared::new(AtomicBool::new(false));
        let other = spawn(move || {
            retire(last);
            for _ in 0..3 {
                domain.poll();
            }
            while !asleep.load(Ordering::Acquire) {
                yield_now();
            }
            for _ in 0..24 {
                domain.poll();
            }
            assert_eq!(mm.pages(), 0, "frees wait for a thread that sleeps");
        });
        retire(first);
        asleep.store(true, Ordering::Release);
        other.join().unwrap();
        asleep.end();
        drop(mm.end());
    });
}
