//! A model of RCU: exactly the contract of [`Rcu`], and as early as that allows.
//!
//! Each callback waits for the sections that were open when it was queued, and for nothing else, so
//! a callback may overtake another, and any thread that is outside a section can run it.

use std::{
    marker::PhantomData,
    ptr::NonNull,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ptfrag::{Rcu, RcuFn, RcuHead};
use shuttle::sync::atomic::{AtomicBool, Ordering};

use super::{below, book::Section, ledger::Ledger};

struct Queued {
    head: NonNull<RcuHead>,
    func: RcuFn,
    open: Vec<Section>,
}

// SAFETY: a queued head may be run by any thread.
unsafe impl Send for Queued {}

/// A domain; its handle is a reference.
pub(crate) struct Domain {
    ledger: Arc<Ledger>,
    queue: Mutex<Vec<Queued>>,
    /// Touching it is what makes an operation of the domain a step of the schedule.
    step: AtomicBool,
}

impl Domain {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, queue: Mutex::new(Vec::new()), step: AtomicBool::new(false) }
    }

    fn step(&self) {
        self.step.load(Ordering::SeqCst);
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a section.
    pub(crate) fn read_section(&self) -> Guard<'_> {
        self.read()
    }

    /// Tries to end a grace period: runs one callback whose readers have all left. Never waits.
    pub(crate) fn attempt(&self) -> bool {
        if !self.ledger.is_outside() {
            self.ledger.fault("callbacks attempted inside a section".into());
        }
        self.step();
        let Queued { head, func, .. } = {
            let mut queue = self.queue();
            let over = |&at: &usize| self.ledger.are_over(&queue[at].open);
            let over: Vec<usize> = (0..queue.len()).filter(over).collect();
            if over.is_empty() {
                return false;
            }
            queue.swap_remove(over[below(over.len())])
        };
        self.ledger.callback(true);
        // SAFETY: it was queued with this head, and its grace period is over.
        unsafe { func(head) };
        self.ledger.callback(false);
        true
    }

    /// Waits until the sections that are open now have ended, and runs what waited for them.
    pub(crate) fn synchronize(&self) {
        let open = self.ledger.open_sections();
        let queued = self.queue().len();
        while !self.ledger.are_over(&open) {
            shuttle::thread::yield_now();
        }
        for _ in 0..queued {
            self.attempt();
        }
    }

    /// Runs callbacks until none is queued, when no other thread is left.
    pub(crate) fn drain(&self) {
        while self.attempt() {}
        let stuck = self.queue().len();
        if stuck != 0 {
            self.ledger.fault(format!("{stuck} callbacks wait for a section that does not end"));
        }
    }
}

/// A section, until it is dropped.
pub(crate) struct Guard<'a> {
    domain: &'a Domain,
    /// Sections belong to their thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.domain.step();
        self.domain.ledger.section_ends();
    }
}

// SAFETY: a domain stays where it is until the world ends, after the last callback. `attempt` runs
// a callback once, after the sections that were open when it was queued have ended, on any thread,
// inside none of the functions below; under shuttle every step happens before the next. It
// allocates when queueing, which the scenes do not look at.
unsafe impl<'a> Rcu for &'a Domain {
    type Guard = Guard<'a>;

    fn read(self) -> Guard<'a> {
        self.step();
        self.ledger.section_begins();
        Guard { domain: self, _not_send: PhantomData }
    }

    fn covers(self, guard: &Guard<'a>) -> bool {
        std::ptr::eq(self, guard.domain)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        self.step();
        let open = self.ledger.open_sections();
        if self.queue().iter().any(|queued| queued.head == head) {
            self.ledger.fault(format!("the head {head:p} was queued twice"));
            return;
        }
        self.queue().push(Queued { head, func, open });
        // The callback may run while its `call` has not returned yet.
        self.step();
    }
}
