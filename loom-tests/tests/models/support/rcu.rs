//! An RCU that gives the contract's happens-before edges and as little more as possible.
//!
//! A section raises and lowers its thread's own slot; a grace period takes what is queued, and then
//! visits every slot by a read-modify-write. That gives a section that has ended to the callback
//! (Release, Acquire), and what came before `call` to a section that begins later (Release,
//! Acquire), and nothing between two readers or two callers. There are no SeqCst fences: one of
//! them hides a missing Acquire in the protocol.
//!
//! A grace period is an attempt. Where a reader is inside it gives up, so nothing waits and
//! models stay small.
//!
//! There are two handles of it. [`ModelRcu`] cannot tell grace periods apart. [`Telling`] gives tickets:
//! numbers of grace periods, from a counter that an attempt moves on between taking what is queued and
//! looking at the readers. Again read-modify-writes alone order things.

use std::{marker::PhantomData, ptr, ptr::NonNull};

use loom::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use ptfrag::{Rcu, RcuFn, RcuHead};

use super::{Stage, spawn};

/// The handle; the state is the stage's.
#[derive(Clone, Copy)]
pub struct ModelRcu;

/// A read-side section.
pub struct Section {
    slot: usize,
    stays: PhantomData<*const ()>,
}

impl Drop for Section {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Stage::with(Stage::forbid_locks);
            // Release: the section before the callback.
            Stage::get().slots[self.slot].fetch_sub(1, Ordering::Release);
        }
    }
}

/// The handle that gives tickets.
#[derive(Clone, Copy)]
pub struct Telling(());

impl Telling {
    /// The execution's grace periods are numbered.
    pub fn new() -> Self {
        Stage::get().numbered.set(true);
        Self(())
    }
}

// SAFETY: as for `ModelRcu`. Whoever gets a ticket does so before the grace period with that number is
// begun, so a head that was queued in between waits for that or a later one, which acquires what came
// before the ticket and releases it to the sections that begin later.
unsafe impl Rcu for Telling {
    type Guard = Section;

    fn read(self) -> Section {
        ModelRcu.read()
    }

    fn covers(self, section: &Section) -> bool {
        ModelRcu.covers(section)
    }

    fn lane(self, section: &Section) -> usize {
        section.slot
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: passed on to the caller.
        unsafe { ModelRcu.call(head, func) };
    }

    fn ticket(self) -> u64 {
        // Release: what came before, to the grace period. A read-modify-write, to be before it or after.
        Stage::get().begun.fetch_add(0, Ordering::Release) as u64 + 1
    }

    fn recent_ticket(self) -> u64 {
        Stage::get().begun.load(Ordering::Relaxed) as u64 + 1
    }

    fn gave(self, _: u64) -> bool {
        true
    }

    fn has_elapsed(self, ticket: u64) -> bool {
        // Acquire: the sections that were waited for.
        Stage::get().over.load(Ordering::Acquire) as u64 >= ticket
    }
}

// SAFETY: callbacks run in `try_grace_period` alone, which gives the edges as said above, and
// which a model calls outside sections and locks. A head is linked through its own pointer, and is
// not touched after it was queued, nor after its function has started.
unsafe impl Rcu for ModelRcu {
    type Guard = Section;

    fn read(self) -> Section {
        Stage::with(Stage::forbid_locks);
        let slot = Stage::with(Stage::my_slot);
        // Acquire: what came before the calls of a grace period that has passed this slot.
        Stage::get().slots[slot].fetch_add(1, Ordering::Acquire);
        Section { slot, stays: PhantomData }
    }

    fn covers(self, _: &Section) -> bool {
        true
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        Stage::with(Stage::forbid_locks);
        // SAFETY: the caller gave us the head.
        let fields = unsafe { head.as_ref() };
        // SAFETY: as above.
        unsafe { fields.set_func(func) };
        push(head);
    }
}

/// Queues a head. Only Release, so that callers see nothing of each other.
fn push(head: NonNull<RcuHead>) {
    // SAFETY: the head is ours until it is queued.
    let fields = unsafe { head.as_ref() };
    let queue = &Stage::get().queue;
    let mut first = ptr::null_mut();
    loop {
        // SAFETY: as above.
        unsafe { fields.set_next(first) };
        match queue.compare_exchange(first, head.as_ptr(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(seen) => first = seen,
        }
    }
}

/// What a grace period has passed for: its callbacks are due, and may be late.
#[must_use]
pub struct Due(*mut RcuHead);

/// Waits for nobody: if no other thread is inside a section, a grace period has passed for what is
/// queued. The caller is in none.
pub fn grace_period() -> Option<Due> {
    let stage = Stage::get();
    let mine = stage.my_slot();
    // Acquire pairs with the Release in `push`: the callers before the callbacks.
    let batch = stage.queue.swap(ptr::null_mut(), Ordering::Acquire);
    // Acquire: what came before the tickets that were given before.
    let number = stage.numbered.get().then(|| stage.begun.fetch_add(1, Ordering::Acquire) + 1);
    let quiet = batch.is_null() && number.is_none()
        || stage.slots.iter().enumerate().all(|(slot, inside)| {
            // Acquire: the sections that have ended. Release: the calls, to those that begin.
            slot == mine || inside.fetch_add(0, Ordering::AcqRel) == 0
        });
    if quiet {
        if let Some(number) = number {
            // Release: the sections that have ended.
            stage.over.fetch_max(number, Ordering::Release);
        }
        return Some(Due(batch));
    }
    Due(batch).put_back();
    None
}

impl Due {
    /// Queues the heads again.
    fn put_back(self) {
        let mut batch = self.0;
        while let Some(head) = NonNull::new(batch) {
            // SAFETY: descriptors, and the heads in them, outlive the execution's threads.
            let fields = unsafe { head.as_ref() };
            // SAFETY: the batch is ours.
            batch = unsafe { fields.next() };
            push(head);
        }
    }

    /// Runs the callbacks.
    pub fn run(self) {
        let mut batch = self.0;
        while let Some(head) = NonNull::new(batch) {
            // SAFETY: descriptors, and the heads in them, outlive the execution's threads.
            let fields = unsafe { head.as_ref() };
            // SAFETY: the batch is ours.
            batch = unsafe { fields.next() };
            // SAFETY: as above.
            let func = unsafe { fields.func() }.expect("a head without a function");
            // SAFETY: queued with this function, and its grace period is over.
            unsafe { func(head) };
        }
    }
}

/// The same in scenes in which the other threads have no sections, but the callbacks run here while another thread counts the
/// grace period. So they come after the calls, as the contract says, and not after what somebody did before he got a ticket.
pub fn try_grace_period_elsewhere() -> bool {
    const PASSED: usize = 1;
    const IN_THE_WAY: usize = 2;
    let mine = Stage::with(Stage::my_slot);
    // Acquire pairs with the Release in `push`: the callers before the callbacks.
    let batch = Due(Stage::get().queue.swap(ptr::null_mut(), Ordering::Acquire));
    let outcome = Arc::new(AtomicUsize::new(0));
    let other = {
        let outcome = outcome.clone();
        spawn(move || {
            let stage = Stage::get();
            // The orderings of `grace_period`.
            let number = stage.begun.fetch_add(1, Ordering::Acquire) + 1;
            let me = stage.my_slot();
            let quiet = stage.slots.iter().enumerate().all(|(slot, inside)| {
                slot == me || slot == mine || inside.fetch_add(0, Ordering::AcqRel) == 0
            });
            if quiet {
                stage.over.fetch_max(number, Ordering::Release);
            }
            // Relaxed: nothing of what this thread has seen goes along.
            outcome.store(if quiet { PASSED } else { IN_THE_WAY }, Ordering::Relaxed);
        })
    };
    let passed = loop {
        match outcome.load(Ordering::Relaxed) {
            0 => loom::thread::yield_now(),
            outcome => break outcome == PASSED,
        }
    };
    if passed {
        batch.run();
    } else {
        batch.put_back();
    }
    other.join().expect("it does not panic");
    passed
}

/// Runs what is queued, unless another thread is inside a section; says whether it did.
pub fn try_grace_period() -> bool {
    grace_period().map(Due::run).is_some()
}
