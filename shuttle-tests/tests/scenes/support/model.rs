//! A model of RCU: exactly the contract of [`Rcu`](ptfrag::Rcu), and as early as that allows.
//!
//! Each callback waits for the sections that were open when it was queued, or when somebody got the
//! ticket again under which it was, and for nothing else, so a callback may overtake another, and any
//! thread that is outside a section can run it.

use std::{
    collections::HashMap,
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
    ticket: u64,
}

// SAFETY: a queued head may be run by any thread.
unsafe impl Send for Queued {}

/// What waits for grace periods.
struct Waiting {
    queue: Vec<Queued>,
    ticket: u64,
    /// What was open when somebody got a ticket.
    given: HashMap<u64, Vec<Section>>,
}

pub(super) struct Model {
    ledger: Arc<Ledger>,
    waiting: Mutex<Waiting>,
    /// Touching it is what makes an operation of the model a step of the schedule.
    step: AtomicBool,
}

impl Model {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        let waiting = Waiting { queue: Vec::new(), ticket: 1, given: HashMap::new() };
        Self { ledger, waiting: Mutex::new(waiting), step: AtomicBool::new(false) }
    }

    pub(super) fn step(&self) {
        self.step.load(Ordering::SeqCst);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a head; the callback may run while this has not returned yet.
    pub(super) fn call(&self, head: NonNull<RcuHead>, func: RcuFn) {
        self.step();
        let open = self.ledger.open_sections();
        let mut waiting = self.waiting();
        if waiting.queue.iter().any(|queued| queued.head == head) {
            drop(waiting);
            self.ledger.fault(format!("the head {head:p} was queued twice"));
            return;
        }
        let ticket = waiting.ticket;
        waiting.queue.push(Queued { head, func, open, ticket });
        drop(waiting);
        self.step();
    }

    pub(super) fn ticket(&self) -> u64 {
        self.step();
        let open = self.ledger.open_sections();
        let Waiting { queue, ticket, given } = &mut *self.waiting();
        for queued in queue.iter_mut().filter(|queued| queued.ticket == *ticket) {
            queued.open.extend(&open);
        }
        given.entry(*ticket).or_default().extend(&open);
        *ticket
    }

    pub(super) fn has_elapsed(&self, ticket: u64) -> bool {
        self.step();
        let waiting = self.waiting();
        let open = waiting.given.get(&ticket).expect("a ticket that was never given");
        ticket < waiting.ticket && self.ledger.are_over(open)
    }

    /// Runs one callback whose readers have all left.
    pub(super) fn attempt(&self) -> bool {
        self.step();
        let Queued { head, func, .. } = {
            let Waiting { queue, ticket, .. } = &mut *self.waiting();
            // A grace period begins now and then.
            *ticket += below(2) as u64;
            let over = |&at: &usize| self.ledger.are_over(&queue[at].open);
            let over: Vec<usize> = (0..queue.len()).filter(over).collect();
            if over.is_empty() {
                return false;
            }
            let queued = queue.swap_remove(over[below(over.len())]);
            // One that has ended has begun.
            *ticket = (*ticket).max(queued.ticket + 1);
            queued
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
        let queued = self.waiting().queue.len();
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
        let stuck = self.waiting().queue.len();
        if stuck != 0 {
            self.ledger.fault(format!("{stuck} callbacks wait for a section that does not end"));
        }
    }
}
