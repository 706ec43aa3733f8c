//! The built-in RCU domain, with threads of the operating system. Nothing here depends on time.

use core::ptr::{self, NonNull};
use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{Domain, Guard, OwnedDomain, Rcu, RcuHead, Section};

#[path = "common/heads.rs"]
mod heads;

use heads::{count, counter, queue, settle};

/// For a domain that outlives the test's threads.
fn leaked() -> &'static Domain {
    Box::leak(Box::new(OwnedDomain::new()))
}

#[test]
fn guards_nest() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let outer = domain.read();
    let inner = domain.read();
    count(&domain, &ran);
    drop(outer);
    assert_eq!(settle(&domain), 0);
    let section = Rcu::read(&*domain);
    drop(inner);
    assert_eq!(settle(&domain), 0);
    drop(section);
    assert_eq!(settle(&domain), 1);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn a_guard_holds_callbacks_up() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let entered = Barrier::new(2);
    let leave = Barrier::new(2);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let guard = domain.read();
            entered.wait();
            leave.wait();
            drop(guard);
        });
        entered.wait();
        // Nobody blocks on `call`, and none of them runs.
        for _ in 0..10_000 {
            count(&domain, &ran);
        }
        settle(&domain);
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        leave.wait();
        reader.join().unwrap();
        domain.barrier();
        assert_eq!(ran.load(Ordering::Relaxed), 10_000);
    });
}

#[test]
fn call_and_sections_run_nothing() {
    let domain = OwnedDomain::new();
    let ran = counter();
    drop(domain.read());
    for _ in 0..1000 {
        count(&domain, &ran);
        drop(Rcu::read(&*domain));
    }
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    let guard = domain.read();
    assert_eq!(domain.poll(), 0);
    drop(domain.read());
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    drop(guard);
    domain.barrier();
    assert_eq!(ran.load(Ordering::Relaxed), 1000);
}

#[test]
fn dropped_guards_run_callbacks() {
    let domain = OwnedDomain::new();
    let ran = counter();
    drop(domain.read());
    count(&domain, &ran);
    for _ in 0..1000 {
        drop(domain.read());
    }
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

/// A thread polls after 32 heads of its own, at every 64th guard that it drops while it has any, or
/// else at every 128th.
#[test]
fn guards_poll_at_their_pace() {
    let drops_until_a_callback = |first: usize, each: usize, another: usize| {
        let domain = OwnedDomain::new();
        let ran = counter();
        let count = |heads| (0..heads).for_each(|_| count(&domain, &ran));
        thread::scope(|scope| {
            scope.spawn(|| count(another));
        });
        let mut heads = first;
        (1..).find(|_| {
            let guard = domain.read();
            count(heads);
            heads = each;
            drop(guard);
            ran.load(Ordering::Relaxed) != 0
        })
    };
    // A poll takes what has come; the epoch has to move on twice after that, once in each, or further while a
    // whole batch waits.
    assert_eq!(drops_until_a_callback(32, 32, 0), Some(2));
    assert_eq!(drops_until_a_callback(8, 8, 0), Some(4 * 2));
    assert_eq!(drops_until_a_callback(1, 0, 0), Some(64 * 3));
    assert_eq!(drops_until_a_callback(0, 0, 1), Some(128 * 3));
}

/// A backlog that a reader has left is run a batch at a time.
#[test]
fn batches_are_bounded() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let [entered, leave] = [(), ()].map(|()| Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = domain.read();
            entered.wait();
            leave.wait();
        });
        entered.wait();
        drop(domain.read());
        for _ in 0..1000 {
            count(&domain, &ran);
        }
        assert_eq!(settle(&domain), 0);
        leave.wait();
    });
    let mut polls = 0;
    while ran.load(Ordering::Relaxed) < 1000 {
        let before = ran.load(Ordering::Relaxed);
        let told = domain.poll();
        assert_eq!(ran.load(Ordering::Relaxed) - before, told);
        assert!(told <= 64);
        polls += 1;
    }
    assert!(polls >= 1000 / 64);
}

/// Nor does it grow: what a thread queues in one section it runs at its end, if nobody is in the way.
#[test]
fn a_section_leaves_no_backlog() {
    let domain = OwnedDomain::new();
    let ran = counter();
    for (section, heads) in [64, 100, 1000, 10_000].into_iter().enumerate() {
        for round in 1..=20 {
            let guard = domain.read();
            (0..heads).for_each(|_| count(&domain, &ran));
            drop(guard);
            let left = round * heads - ran.load(Ordering::Relaxed);
            assert!(left <= 128, "{left} are left after section {round} of {heads}");
        }
        domain.barrier();
        assert_eq!(ran.swap(0, Ordering::Relaxed), 20 * heads, "{section}");
    }
}

#[test]
fn callbacks_do_not_nest() {
    let domain = leaked();
    let running = Arc::new(AtomicBool::new(false));
    let ran = counter();
    for _ in 0..100 {
        let running = Arc::clone(&running);
        let ran = Arc::clone(&ran);
        queue(domain, move |_| {
            assert!(!running.swap(true, Ordering::Relaxed));
            for _ in 0..1000 {
                drop(domain.read());
            }
            assert_eq!(domain.poll(), 0);
            running.store(false, Ordering::Relaxed);
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
    settle(domain);
    assert_eq!(ran.load(Ordering::Relaxed), 100);
}

#[test]
fn synchronize_waits_for_readers() {
    let domain = OwnedDomain::new();
    let left = AtomicBool::new(false);
    let entered = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = domain.read();
            entered.wait();
            thread::yield_now();
            left.store(true, Ordering::Relaxed);
            drop(guard);
        });
        entered.wait();
        domain.synchronize();
        assert!(left.load(Ordering::Relaxed));
    });
}

#[test]
#[should_panic = "synchronize called inside a read-side section"]
fn synchronize_refuses_in_a_section() {
    let domain = OwnedDomain::new();
    let _guard = domain.read();
    domain.synchronize();
}

#[test]
#[should_panic = "barrier called inside a read-side section"]
fn barrier_refuses_in_a_section() {
    let domain = OwnedDomain::new();
    let _section = Rcu::read(&*domain);
    domain.barrier();
}

#[test]
fn barrier_refuses_in_a_callback() {
    let domain = leaked();
    let refused = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&refused);
    queue(domain, move |_| {
        let panic = std::panic::catch_unwind(|| domain.barrier()).unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        told.store(text.contains("inside a callback"), Ordering::Relaxed);
    });
    settle(domain);
    assert!(refused.load(Ordering::Relaxed));
}

#[test]
fn barrier_waits_for_other_threads_callbacks() {
    let domain = OwnedDomain::new();
    let started = Arc::new(Barrier::new(2));
    let done = Arc::new(AtomicBool::new(false));
    queue(&domain, {
        let (started, done) = (Arc::clone(&started), Arc::clone(&done));
        move |_| {
            started.wait();
            for _ in 0..100 {
                thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        }
    });
    thread::scope(|scope| {
        // Runs the callback, which goes on while this thread is in `barrier`.
        scope.spawn(|| while domain.poll() == 0 {});
        started.wait();
        domain.barrier();
        assert!(done.load(Ordering::Relaxed));
    });
}

#[test]
fn barrier_covers_all_threads() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let queued = Barrier::new(4);
    let end = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                drop(domain.read());
                for _ in 0..500 {
                    count(&domain, &ran);
                }
                queued.wait();
                end.wait();
            });
        }
        queued.wait();
        domain.barrier();
        assert_eq!(ran.load(Ordering::Relaxed), 1500);
        end.wait();
    });
}

/// A poll runs no more of what several threads have left behind than of what one has.
#[test]
fn batches_of_others_are_bounded() {
    let domain = leaked();
    let ran = counter();
    let together = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (ran, together) = (Arc::clone(&ran), Arc::clone(&together));
            thread::spawn(move || {
                drop(domain.read());
                (0..50).for_each(|_| count(domain, &ran));
                together.wait();
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(domain.read());
    let mut polls = 0;
    while ran.load(Ordering::Relaxed) < 200 {
        assert!(domain.poll() <= 64);
        polls += 1;
        assert!(polls < 100, "nothing comes back");
    }
}

/// Whoever left a lot behind does not keep those behind it waiting, nor is a batch cut short.
#[test]
fn others_take_turns() {
    let domain = OwnedDomain::new();
    let (few, many) = (counter(), counter());
    let queued = Barrier::new(2);
    let end = Barrier::new(3);
    thread::scope(|scope| {
        // The oldest thread is looked at first.
        for (heads, ran) in [(200, &many), (1, &few)] {
            let (domain, queued, end) = (&domain, &queued, &end);
            scope.spawn(move || {
                drop(domain.read());
                (0..heads).for_each(|_| count(domain, ran));
                queued.wait();
                end.wait();
            });
            queued.wait();
        }
        // What has run after each poll that ran something.
        let ran = || [&few, &many].map(|ran| ran.load(Ordering::Relaxed));
        let batches: Vec<_> = (0..100).filter_map(|_| (domain.poll() != 0).then(ran)).collect();
        end.wait();
        let turns = [[0, 64], [1, 127], [1, 191], [1, 200]];
        assert_eq!(batches, turns);
    });
}

/// Nor does what threads without a record leave keep the first record's heads waiting.
#[test]
fn orphans_take_turns_too() {
    let domain = OwnedDomain::new();
    let (few, many) = (counter(), counter());
    let [queued, end] = [(); 2].map(|()| Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            count(&domain, &few);
            queued.wait();
            end.wait();
        });
        queued.wait();
        scope.spawn(|| (0..2000).for_each(|_| count(&domain, &many))).join().unwrap();
        let polls = (1..).find(|_| {
            domain.poll();
            few.load(Ordering::Relaxed) != 0
        });
        assert!(polls.unwrap() < 10, "after {polls:?} polls");
        end.wait();
    });
}

/// Others leave a thread's heads to it as long as it polls.
#[test]
fn busy_threads_keep_their_heads() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let step = Barrier::new(2);
    // So that an epoch of long ago can be told from this one.
    (0..10).for_each(|_| domain.synchronize());
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            // Nor is it enough that it was new not long ago.
            (0..10).for_each(|_| domain.synchronize());
            count(&domain, &ran);
            let at_once = domain.poll();
            step.wait();
            step.wait();
            assert_eq!((at_once, settle(&domain)), (0, 1), "the owner runs it");
        });
        step.wait();
        // The second poll finds the grace period over.
        let _: usize = (0..2).map(|_| domain.poll()).sum();
        step.wait();
    });
}

#[test]
fn idle_threads_heads_are_taken_over() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let queued = Barrier::new(2);
    let end = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            count(&domain, &ran);
            queued.wait();
            // Alive, registered, and idle.
            end.wait();
        });
        queued.wait();
        settle(&domain);
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        end.wait();
    });
}

#[test]
fn threads_exit_with_callbacks_pending() {
    let domain = OwnedDomain::new();
    let ran = counter();
    for round in 1..=20 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope
                    .spawn(|| {
                        let guard = domain.read();
                        count(&domain, &ran);
                        drop(guard);
                    })
                    .join()
                    .unwrap();
            }
        });
        settle(&domain);
        assert_eq!(ran.load(Ordering::Relaxed), 4 * round);
    }
}

#[test]
fn unregistered_threads_can_call() {
    let domain = OwnedDomain::new();
    let ran = counter();
    thread::scope(|scope| {
        scope.spawn(|| count(&domain, &ran));
    });
    settle(&domain);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

/// Does its work when its thread-local is destroyed.
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

thread_local! {
    static FIRST: AtExit = const { AtExit(RefCell::new(None)) };
    static LAST: AtExit = const { AtExit(RefCell::new(None)) };
    static KEPT: Cell<Option<Guard<'static>>> = const { Cell::new(None) };
}

/// Runs `work` twice in destructors of thread-locals, once before and once after the domain's own.
fn in_destructors(register: &'static Domain, work: impl FnOnce() + Clone + Send + 'static) {
    thread::spawn(move || {
        FIRST.with(|slot| slot.0.replace(Some(Box::new(work.clone()))));
        drop(register.read());
        LAST.with(|slot| slot.0.replace(Some(Box::new(work))));
    })
    .join()
    .unwrap();
}

#[test]
fn destructors_of_thread_locals_can_call_and_read() {
    let domain = leaked();
    let ran = counter();
    let told = Arc::clone(&ran);
    in_destructors(domain, move || {
        let outer = domain.read();
        count(domain, &told);
        drop(domain.read());
        drop(outer);
        domain.poll();
    });
    domain.barrier();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

/// A section there is a section, also when other threads come by and take the record that the thread
/// has given up.
#[test]
fn sections_in_destructors_hold_callbacks_up() {
    /// Runs `work` in a thread that has a record, as have `others` more meanwhile.
    fn beside(domain: &'static Domain, others: usize, work: Box<dyn FnOnce() + Send>) {
        let thread = thread::spawn(move || {
            drop(domain.read());
            if others == 0 { work() } else { beside(domain, others - 1, work) }
        });
        thread.join().unwrap();
    }

    let domain = leaked();
    let ran = counter();
    let told = Arc::clone(&ran);
    let times = counter();
    in_destructors(domain, move || {
        let guard = domain.read();
        // The second time more than there are records from the first.
        let others = 2 * times.fetch_add(1, Ordering::Relaxed);
        let callbacks_wait = move || {
            let before = told.load(Ordering::Relaxed);
            count(domain, &told);
            (0..10).for_each(|_| _ = domain.poll());
            assert_eq!(told.load(Ordering::Relaxed), before);
        };
        beside(domain, others, Box::new(callbacks_wait));
        drop(guard);
    });
    domain.barrier();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

#[test]
fn destructors_of_thread_locals_can_wait() {
    let domain = leaked();
    let ran = counter();
    let told = Arc::clone(&ran);
    in_destructors(domain, move || {
        let before = told.load(Ordering::Relaxed);
        count(domain, &told);
        domain.synchronize();
        domain.barrier();
        assert_eq!(told.load(Ordering::Relaxed), before + 1);
    });
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

#[test]
fn a_guard_kept_in_a_thread_local_ends_with_it() {
    let domain = leaked();
    let ran = counter();
    // Both orders of destruction.
    for register_first in [true, false] {
        thread::spawn(move || {
            if register_first {
                drop(domain.read());
            }
            KEPT.set(None);
            KEPT.set(Some(domain.read()));
        })
        .join()
        .unwrap();
    }
    count(domain, &ran);
    settle(domain);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn a_leaked_guard_holds_up_for_ever() {
    let domain = OwnedDomain::new();
    let ran = counter();
    thread::scope(|scope| {
        scope.spawn(|| core::mem::forget(domain.read())).join().unwrap();
    });
    count(&domain, &ran);
    // Other threads get other records, and what they do does not end the leaked section.
    for _ in 0..4 {
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(domain.read());
                settle(&domain);
            });
        });
    }
    assert_eq!(settle(&domain), 0);
    drop(domain);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn a_callback_queues_its_head_again() {
    #[repr(C)]
    struct Again {
        head: RcuHead,
        left: AtomicUsize,
        domain: &'static Domain,
    }
    unsafe extern "C" fn again(head: NonNull<RcuHead>) {
        // SAFETY: the head is an `Again`'s first field.
        let node = unsafe { head.cast::<Again>().as_ref() };
        if node.left.fetch_sub(1, Ordering::Relaxed) > 1 {
            // SAFETY: the head is the callback's now.
            unsafe { node.domain.call(head, again) };
        }
    }

    let domain = leaked();
    let node: &'static Again =
        Box::leak(Box::new(Again { head: RcuHead::new(), left: AtomicUsize::new(5), domain }));
    // SAFETY: the node is never freed, and nobody else queues it.
    unsafe { domain.call(NonNull::from(node).cast(), again) };
    // Each time takes a grace period of its own.
    domain.barrier();
    assert!(node.left.load(Ordering::Relaxed) > 0);
    settle(domain);
    assert_eq!(node.left.load(Ordering::Relaxed), 0);
}

/// A domain as callbacks know it: not by a borrow.
#[derive(Clone, Copy)]
struct Late(NonNull<Domain>);

// SAFETY: domains are shared between threads.
unsafe impl Send for Late {}

impl Late {
    fn domain(&self) -> &Domain {
        // SAFETY: it is used only in callbacks of the domain.
        unsafe { self.0.as_ref() }
    }
}

#[test]
fn dropping_a_domain_runs_everything() {
    fn chain(late: Late, ran: Arc<AtomicUsize>, left: usize) {
        queue(late.domain(), move |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            drop(late.domain().read());
            if left > 1 {
                chain(late, Arc::clone(&ran), left - 1);
            }
        });
    }
    let domain = OwnedDomain::new();
    let ran = counter();
    for _ in 0..100 {
        chain(Late(NonNull::from(&*domain)), Arc::clone(&ran), 3);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            count(&domain, &ran);
        });
        scope.spawn(|| count(&domain, &ran));
    });
    // Some of them waiting, some ripe; and moving the owner moves nothing that they refer to.
    domain.poll();
    let moved = Box::new(domain);
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    drop(moved);
    assert_eq!(ran.load(Ordering::Relaxed), 302);
}

#[test]
fn domains_are_independent() {
    let one = OwnedDomain::new();
    let other = OwnedDomain::new();
    let ran = counter();
    let guard: Guard = one.read();
    let section: &Section = &guard;
    assert!((&*one).covers(section));
    assert!(!(&*other).covers(section));
    count(&one, &ran);
    count(&other, &ran);
    other.synchronize();
    other.barrier();
    assert_eq!(settle(&one), 0);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    drop(guard);
    one.barrier();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

/// A thread that comes to a second domain still knows of its section in the first.
#[test]
#[should_panic = "barrier called inside a read-side section"]
fn a_second_domain_does_not_hide_a_section() {
    let (one, other) = (OwnedDomain::new(), OwnedDomain::new());
    let _guard = one.read();
    drop(other.read());
    one.barrier();
}

#[test]
fn threads_forget_dropped_domains() {
    for _ in 0..100 {
        let domain = OwnedDomain::new();
        let ran = counter();
        let guard = domain.read();
        count(&domain, &ran);
        drop(guard);
        drop(domain);
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }
}

/// Other threads drop domains while this one puts its table in order.
#[test]
fn domains_go_while_a_table_grows() {
    let rounds = if cfg!(miri) { 1 } else { 4 };
    for _ in 0..rounds {
        let domains = Mutex::new(Vec::new());
        let [full, done] = [(); 2].map(|()| AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !full.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                while !done.load(Ordering::Relaxed) {
                    drop(domains.lock().unwrap().pop());
                }
            });
            scope.spawn(|| {
                let used = || {
                    let domain = OwnedDomain::new();
                    drop(domain.read());
                    domain
                };
                // The table is full then, and the next one has it made anew.
                let many = if cfg!(miri) { 8 } else { 1 << 13 };
                (0..many).for_each(|_| domains.lock().unwrap().push(used()));
                full.store(true, Ordering::Release);
                while domains.lock().unwrap().len() == many {
                    thread::yield_now();
                }
                let kept = [used(), used()];
                done.store(true, Ordering::Relaxed);
                drop((kept, used()));
            });
        });
    }
}

#[test]
fn the_global_domain_is_one() {
    let guard = Domain::global().read();
    thread::scope(|scope| {
        scope.spawn(|| assert!(Domain::global().covers(&guard_of_this_thread())));
    });
    assert!(Domain::global().covers(&guard));
    fn guard_of_this_thread() -> Section<'static> {
        Rcu::read(Domain::global())
    }
}

/// Readers chase a pointer that writers swap, and what they have found is not reclaimed before they
/// leave, however often it was replaced and callbacks ran meanwhile.
#[test]
fn readers_never_see_reclaimed_values() {
    use std::sync::atomic::{AtomicPtr, AtomicUsize};

    /// One that is reclaimed is marked and not freed: whoever looks too late finds the mark.
    #[repr(C)]
    struct Value {
        head: RcuHead,
        reclaimed: AtomicBool,
    }
    unsafe extern "C" fn reclaim(head: NonNull<RcuHead>) {
        // SAFETY: the values outlive the domain.
        let value = unsafe { head.cast::<Value>().as_ref() };
        value.reclaimed.store(true, Ordering::Relaxed);
    }

    // The readers take turns: one of them comes while the other is still there, and stays while what it
    // has found is replaced, and for a grace period that does not wait for it.
    const READERS: usize = 2;
    const REPLACED: usize = 4;
    let rounds = if cfg!(miri) { 10 } else { 1000 };
    let value = || Value { head: RcuHead::new(), reclaimed: AtomicBool::new(false) };
    let values: Vec<_> = (0..=REPLACED * rounds).map(|_| value()).collect();
    let domain = OwnedDomain::new();
    let slot = AtomicPtr::new(ptr::from_ref(&values[0]).cast_mut());
    let [entered, done, early] = [(), (), ()].map(|()| AtomicUsize::new(0));
    let wait = |count: &AtomicUsize, goal: usize| {
        while count.load(Ordering::Acquire) < goal {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (domain, slot) = (&domain, &slot);
            let (entered, done, early) = (&entered, &done, &early);
            scope.spawn(move || {
                for round in (reader..rounds).step_by(READERS) {
                    wait(done, round);
                    let _guard = domain.read();
                    // SAFETY: the values outlive the threads.
                    let found = unsafe { &*slot.load(Ordering::Acquire) };
                    entered.store(round + 1, Ordering::Release);
                    wait(done, (round + READERS).min(rounds));
                    let reclaimed = found.reclaimed.load(Ordering::Relaxed);
                    early.fetch_add(usize::from(reclaimed), Ordering::Relaxed);
                }
            });
        }
        for (round, new) in values[1..].chunks(REPLACED).enumerate() {
            wait(&entered, round + 1);
            for new in new {
                let old = slot.swap(ptr::from_ref(new).cast_mut(), Ordering::AcqRel);
                // SAFETY: the value was just taken out, and is put in only once.
                unsafe { domain.call(NonNull::new(old).unwrap().cast(), reclaim) };
                domain.poll();
                domain.poll();
            }
            done.store(round + 1, Ordering::Release);
        }
    });
    assert_eq!(early.into_inner(), 0, "of {rounds} values were reclaimed under a reader");
    domain.barrier();
    let reclaimed = values.iter().filter(|value| value.reclaimed.load(Ordering::Relaxed)).count();
    assert_eq!(reclaimed, REPLACED * rounds);
}

/// What an operator sees: what waits, and who is in the way.
#[test]
fn a_domain_tells_what_it_does() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let [entered, leave] = [(); 2].map(|()| Barrier::new(2));
    thread::scope(|scope| {
        let reader = || {
            let _guard = domain.read();
            entered.wait();
            leave.wait();
        };
        let reader = thread::Builder::new().name("stalled".into()).spawn_scoped(scope, reader);
        entered.wait();
        drop(domain.read());
        assert_eq!((domain.status().queued, domain.status().oldest), (0, None));
        assert_eq!(domain.status().in_the_way, None, "the epoch has just begun");
        (0..100).for_each(|_| count(&domain, &ran));
        assert_eq!(domain.status().queued, 100);
        assert_eq!(settle(&domain), 0);
        let status = domain.status();
        assert_eq!((status.queued, status.ran), (100, 0));
        assert_eq!((status.in_use, status.parked, status.free), (2, 0, 0));
        assert_eq!(status.oldest.unwrap().epochs, 0);
        let thread = status.in_the_way.clone().unwrap();
        assert_eq!(thread.name, "stalled");
        assert_eq!(thread.id != 0, cfg!(target_os = "linux"));
        let text = status.to_string();
        let [epoch, id] = [status.epoch, thread.id];
        assert!(text.starts_with(&format!("epoch {epoch}: 100 heads queued, the oldest for 0 ")));
        assert!(
            text.contains(", 0 callbacks run; 2 records in use, 0 parked, 0 free; held up by ")
        );
        assert!(text.ends_with("stalled") || text.ends_with(&format!("stalled ({id})")), "{text}");
        leave.wait();
        // The scope does not wait for what its threads do after their work.
        reader.unwrap().join().unwrap();
    });
    domain.barrier();
    let status = domain.status();
    assert_eq!((status.queued, status.ran, status.oldest), (0, 100, None));
    assert_eq!((status.in_use, status.free, status.in_the_way), (1, 1, None));
    // Who has not come for long is parked. What polls when nothing is queued moves no epoch.
    for _ in 0..100 {
        count(&domain, &ran);
        domain.poll();
    }
    assert_eq!(domain.status().free, 1);
}

/// Who is in the way is found also where nobody polls, because the only thread that would is in a section for ever.
#[test]
fn a_domain_tells_who_leaked_a_guard() {
    let domain = leaked();
    let ran = counter();
    std::mem::forget(domain.read());
    count(domain, &ran);
    assert_eq!(domain.status().in_the_way, None, "it may have just begun");
    let status = domain.status();
    assert_eq!(status.queued, 1);
    let len = if cfg!(target_os = "linux") { 15 } else { 16 };
    let name = thread::current().name().map(|name| name.get(..len).unwrap_or(name).to_owned());
    assert_eq!(status.in_the_way.map(|thread| thread.name), name);
}

/// What a thread leaves that ends is all run by a thread that only reads, at the ends of its sections.
#[test]
fn what_an_ended_thread_leaves_is_run_soon() {
    const LEFT: usize = 10_000;
    let domain = OwnedDomain::new();
    let ran = counter();
    let guard = domain.read();
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            (0..LEFT).for_each(|_| count(&domain, &ran));
        });
    });
    drop(guard);
    // Some epochs pass before anybody looks, and then each drop runs a batch.
    (0..128 * 16 + LEFT / 64).for_each(|_| drop(domain.read()));
    assert_eq!(ran.load(Ordering::Relaxed), LEFT);
}

/// A thread that has a record and has never been in a section, or not for long, may queue something and sleep.
#[test]
fn what_sleepers_queue_is_found() {
    let domain = OwnedDomain::new();
    let ran = counter();
    let step = Barrier::new(2);
    for in_section in [false, true] {
        thread::scope(|scope| {
            // Joined, since the scope does not wait for what its threads do after their work.
            let sleeper = scope.spawn(|| {
                domain.poll();
                if in_section {
                    drop(domain.read());
                }
                step.wait();
                step.wait();
                count(&domain, &ran);
                step.wait();
                step.wait();
            });
            step.wait();
            // Until it is parked.
            let others = counter();
            for _ in 0..100 {
                count(&domain, &others);
                domain.poll();
            }
            assert_eq!(domain.status().parked, 1);
            step.wait();
            step.wait();
            settle(&domain);
            assert_eq!(ran.swap(0, Ordering::Relaxed), 1);
            step.wait();
            sleeper.join().unwrap();
        });
    }
}

/// Threads by the hundred come, are parked, come back, and end; records of those that have ended serve others.
#[test]
fn crowds_come_and_go() {
    let domain = OwnedDomain::new();
    let ran = counter();
    for crowd in [10, 100, 1100, 100] {
        let (together, again) = (Barrier::new(crowd + 1), Barrier::new(crowd + 1));
        thread::scope(|scope| {
            let spawn = || {
                let user = || {
                    drop(domain.read());
                    together.wait();
                    together.wait();
                    let guard = domain.read();
                    again.wait();
                    again.wait();
                    count(&domain, &ran);
                    drop(guard);
                };
                thread::Builder::new().stack_size(32 << 10).spawn_scoped(scope, user).unwrap()
            };
            let users: Vec<_> = std::iter::repeat_with(spawn).take(crowd).collect();
            together.wait();
            let others = counter();
            for _ in 0..200 {
                count(&domain, &others);
                domain.poll();
            }
            assert_eq!(domain.status().parked, crowd);
            together.wait();
            again.wait();
            // All of them are in sections: nothing can be over.
            count(&domain, &ran);
            assert_eq!(domain.status().parked, 0);
            settle(&domain);
            assert_eq!(ran.load(Ordering::Relaxed), 0);
            again.wait();
            // The scope does not wait for what its threads do after their work.
            users.into_iter().for_each(|user| user.join().unwrap());
        });
        domain.barrier();
        assert_eq!(ran.swap(0, Ordering::Relaxed), crowd + 1);
    }
    // One at a time takes a free record rather than a new one.
    let status = domain.status();
    let records = status.in_use + status.parked + status.free;
    assert!(records <= 1101, "{status}");
}
