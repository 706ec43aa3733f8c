//! The built-in RCU domain under loom. Each model says whether it is exhaustive, and which faults,
//! planted on purpose, it was seen to catch.
//!
//! The value that readers look at is a loom cell, and a callback writes to it, as freeing or
//! reusing its memory would: loom then fails if a reader's access does not happen before the
//! callback.
//!
//! Two limits of loom to know: its full fences carry more than the language's (each synchronizes
//! with all before it), so a fault next to a fence needs another thread's view to show; and it
//! remembers only the last access of a cell when it looks for orders to try, so even a model
//! without a bound tries those that it can tell apart from there.

use core::ptr::NonNull;
use std::sync::Arc;

use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use ptfrag::{Domain, OwnedDomain, Rcu, RcuHead};

const ALIVE: usize = 1;
const SPOILT: usize = 2;

/// What readers see and the callback reclaims.
#[repr(C)]
struct Value {
    head: RcuHead,
    cell: UnsafeCell<usize>,
    /// How often the callback ran.
    ran: AtomicUsize,
}

// SAFETY: loom watches the cell.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    fn new() -> Self {
        Self { head: RcuHead::new(), cell: UnsafeCell::new(ALIVE), ran: AtomicUsize::new(0) }
    }

    fn read(&self) -> usize {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.cell.with(|value| unsafe { *value })
    }

    fn write(&self, value: usize) {
        // SAFETY: loom checks that nobody looks meanwhile.
        self.cell.with_mut(|cell| unsafe { *cell = value });
    }

    fn ran(&self) -> bool {
        self.ran.load(Ordering::Relaxed) != 0
    }

    fn queue(&self, domain: &Domain) {
        // SAFETY: each model queues a value once, and drops it after its domain.
        unsafe { domain.call(NonNull::from(self).cast(), spoil) };
    }
}

/// Reclaims a value.
unsafe extern "C" fn spoil(head: NonNull<RcuHead>) {
    // SAFETY: the head is the first field of a value that outlives the domain.
    let value = unsafe { head.cast::<Value>().as_ref() };
    value.write(SPOILT);
    assert_eq!(value.ran.fetch_add(1, Ordering::Relaxed), 0, "a callback ran twice");
}

/// A domain, a value, and whether readers can still find it. The domain goes first.
struct World {
    domain: OwnedDomain,
    published: AtomicUsize,
    value: Value,
    other: Value,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            domain: OwnedDomain::new(),
            published: AtomicUsize::new(1),
            value: Value::new(),
            other: Value::new(),
        })
    }

    /// A section that looks at the value if it finds it.
    fn look(&self) {
        let _section = Rcu::read(&*self.domain);
        // Relaxed: that a section does not find what it must not touch is up to the domain.
        if self.published.load(Ordering::Relaxed) == 1 {
            assert_eq!(self.value.read(), ALIVE);
        }
    }

    fn retire(&self) {
        self.published.store(0, Ordering::Relaxed);
        self.value.queue(&self.domain);
    }

    /// What `retire` does, with a wait in the place of the callback.
    fn retire_and_wait(&self) {
        self.published.store(0, Ordering::Relaxed);
        self.domain.synchronize();
        self.value.write(SPOILT);
    }

    fn poll(&self, times: usize) {
        for _ in 0..times {
            self.domain.poll();
        }
    }
}

/// Explores `model` with at most `bound` preemptions in an execution, and says how
/// many executions there were.
fn explore(name: &str, bound: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = bound.into();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    println!("{name}: {} executions", executions.load(std::sync::atomic::Ordering::Relaxed));
}

/// A section against unpublishing, a call and its callback, the section at any moment: before,
/// across or after. Bounded (5 preemptions; two threads).
///
/// Catches: no fence in the entry; the leaving store relaxed. Since a poll advances just before it
/// tags, faults of the tag or of the advance alone hide here; the models below are for them.
#[test]
fn a_section_against_a_callback() {
    explore("a_section_against_a_callback", 5, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || other.look());
        world.retire();
        world.poll(3);
        reader.join().unwrap();
    });
}

/// Two sections in a row, so that the advance may find the second one's announcement where the
/// first one's was. Exhaustive.
///
/// Catches: the entering store relaxed.
#[test]
fn a_section_after_another() {
    explore("a_section_after_another", None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let first = Rcu::read(&*world.domain);
        assert_eq!(world.published.load(Ordering::Relaxed), 1);
        let retirer = thread::spawn(move || other.retire_and_wait());
        assert_eq!(world.value.read(), ALIVE);
        drop(first);
        world.look();
        retirer.join().unwrap();
    });
}

/// The reader itself ends the grace period, which the other thread then only finds over.
/// Exhaustive.
///
/// Catches: the load of the epoch before ripening, or at the end of a wait, not an acquire.
#[test]
fn a_reader_ends_the_grace_period() {
    explore("a_reader_ends_the_grace_period", None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || {
            other.look();
            other.domain.synchronize();
        });
        world.retire_and_wait();
        reader.join().unwrap();
    });
}

/// A thread that is not registered writes and queues; another runs the callback. Exhaustive.
///
/// Catches: the push not a release.
#[test]
fn a_callback_sees_its_queuers_writes() {
    explore("a_callback_sees_its_queuers_writes", None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let poller = thread::spawn(move || other.poll(3));
        world.value.write(ALIVE);
        world.value.queue(&world.domain);
        poller.join().unwrap();
    });
}

/// A section that begins after the callback has been seen to run finds what came before the call.
/// Bounded (5 preemptions; two threads).
///
/// Catches: no fence in the entry.
#[test]
fn a_later_section_sees_what_came_before() {
    explore("a_later_section_sees_what_came_before", 5, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || {
            let over = other.value.ran();
            let _section = Rcu::read(&*other.domain);
            if over {
                assert_eq!(other.published.load(Ordering::Relaxed), 0);
            }
        });
        world.retire();
        world.poll(3);
        reader.join().unwrap();
    });
}

/// A thread reads, retires and ends, while another polls: it takes the callback over, and perhaps
/// the record. Bounded (4 preemptions; three threads).
///
/// Catches: a record given up without a release, or claimed without an acquire.
#[test]
fn a_thread_ends_with_a_callback_pending() {
    explore("a_thread_ends_with_a_callback_pending", 4, || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let retirer = thread::spawn(move || {
            one.look();
            one.retire();
        });
        let poller = thread::spawn(move || {
            two.poll(3);
            two.look();
        });
        retirer.join().unwrap();
        poller.join().unwrap();
    });
}

/// Two threads poll, and fight over the queue. Bounded (2 preemptions; two threads).
///
/// Catches: the queue's lock without its acquire or its release; records found without an acquire,
/// or put in the list without a release.
#[test]
fn two_threads_take_one_queue_over() {
    explore("two_threads_take_one_queue_over", 2, || {
        let world = World::new();
        let other = Arc::clone(&world);
        // Not registered yet: the head goes to the orphans.
        world.retire();
        let poller = thread::spawn(move || other.poll(2));
        world.poll(2);
        poller.join().unwrap();
    });
}

/// `barrier` while another thread may have taken the callback off and be about to run it. Bounded
/// (2 preemptions; two threads).
///
/// Catches: the barrier not waiting for callbacks that run; the mark of running callbacks without
/// its release or its acquire.
#[test]
fn barrier_waits_for_a_running_callback() {
    explore("barrier_waits_for_a_running_callback", 2, || {
        let world = World::new();
        let other = Arc::clone(&world);
        world.retire();
        let poller = thread::spawn(move || other.poll(3));
        world.domain.barrier();
        assert_eq!(world.value.read(), SPOILT);
        poller.join().unwrap();
    });
}

/// `synchronize` in the place of a callback: the tag just before the advances. Exhaustive.
///
/// Catches: a grace period of one advance; no acquire fence in the advance; no fence in the entry.
#[test]
fn synchronize_waits_for_a_section() {
    explore("synchronize_waits_for_a_section", None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || other.look());
        world.retire_and_wait();
        reader.join().unwrap();
    });
}

/// A reader, a thread that only retires, and a third that only runs. Bounded (3 preemptions; three
/// threads). No planted fault needed it.
#[test]
fn three_threads() {
    explore("three_threads", 3, || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let reader = thread::spawn(move || one.look());
        let poller = thread::spawn(move || two.poll(3));
        world.retire();
        reader.join().unwrap();
        poller.join().unwrap();
    });
}

/// A reader that has moved the clock on enters, and another thread queues and tags without having
/// advanced: an old tag would be ripe at once. Bounded (3 preemptions; two threads).
///
/// Catches: no fence before the tag, or only an acquire fence; a grace period of one advance.
#[test]
fn a_tag_is_not_older_than_its_heads() {
    explore("a_tag_is_not_older_than_its_heads", 3, || {
        let world = World::new();
        let other = Arc::clone(&world);
        // Registering later would tell the retirer of the new epoch.
        drop(Rcu::read(&*world.domain));
        let retirer = thread::spawn(move || {
            other.retire();
            other.domain.barrier();
        });
        world.domain.synchronize();
        world.look();
        retirer.join().unwrap();
    });
}

/// One thread reads, one waits, and one that does neither ends the grace period. Bounded (2
/// preemptions; three threads).
///
/// Catches: no full fence in the advance; the advance's exchange not a release.
#[test]
fn a_third_ends_the_grace_period() {
    explore("a_third_ends_the_grace_period", 2, || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        // Something to poll for.
        world.other.queue(&world.domain);
        let reader = thread::spawn(move || one.look());
        let poller = thread::spawn(move || two.poll(1));
        world.retire_and_wait();
        reader.join().unwrap();
        poller.join().unwrap();
    });
}
