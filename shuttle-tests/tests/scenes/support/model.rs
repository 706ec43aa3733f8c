//! A model of RCU: exactly the contract of [`Rcu`](ptfrag::Rcu), and as early as that allows.
//!
//! Each callback waits for the sections that were open when it was queued, and for nothing else, so
//! a callback may overtake another, and any thread that is outside a section can run it.

use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ptfrag::{RcuFn, RcuHead};
use shuttle::sync::atomic::{AtomicBool, Ordering};

use super::{below, book::Section, ledger::Ledger};

struct Queued {
    head: NonNull<RcuHead>,
    func: RcuFn,
    open: Vec<Section>,
}

// SAFETY: a queued head may be run by any thread.
unsafe impl Send for Queued {}

pub(super) struct Model {
    ledger: Arc<Ledger>,
    queue: Mutex<Vec<Queued>>,
    /// Touching it is what makes an operation of the model a step of the schedule.
    step: AtomicBool,
}

impl Model {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, queue: Mutex::new(Vec::new()), step: AtomicBool::new(false) }
    }

    pub(super) fn step(&self) {
        self.step.load(Ordering::SeqCst);
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a head; the callback may run while this has not returned yet.
    pub(super) fn call(&self, head: NonNull<RcuHead>, func: RcuFn) {
        self.step();
        let open = self.ledger.open_sections();
        if self.queue().iter().any(|queued| queued.head == head) {
            self.ledger.fault(format!("the head {head:p} was queued twice"));
            return;
        }
        self.queue().push(Queued { head, func, open });
        self.step();
    }

    /// Runs one callback whose readers have all left.
    pub(super) fn attempt(&self) -> bool {
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
    pub(super) fn synchronize(&self) {
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
    pub(super) fn drain(&self) {
        while self.attempt() {}
        let stuck = self.queue().len();
        if stuck != 0 {
            self.ledger.fault(format!("{stuck} callbacks wait for a section that does not end"));
        }
    }
}
