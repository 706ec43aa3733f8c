//! What a thread knows of the domains that it uses.

use alloc::vec::Vec;
use core::{
    cell::{Cell, RefCell},
    ptr,
};

use super::{Shared, record::Record};
use crate::sync::{Arc, const_thread_local};

const_thread_local! {
    // Nothing is to be done about it when the thread ends, so a thread that looks here for the
    // first time, in `call`, need not be put down for that, which would allocate.
    static THREAD: Thread = const { Thread::new() };
}
const_thread_local! {
    static REGISTRATIONS: Registrations = const { Registrations(RefCell::new(Vec::new())) };
}

/// Which of its records a thread used last.
///
/// # Invariants
/// `domain` and `record` are null, or `record` is the thread's in `domain` and in the registrations,
/// which keep `domain` allocated: no other domain can get its address.
struct Thread {
    domain: Cell<*const Shared>,
    record: Cell<*const Record>,
    in_callback: Cell<bool>,
    /// Whether there ever was a registration.
    registered: Cell<bool>,
}

/// A thread's records. They are given up when it ends.
struct Registrations(RefCell<Vec<Registration>>);

/// A record that this thread owns.
///
/// # Invariants
/// `record` is one of `domain`'s, and owned by this thread.
struct Registration {
    domain: Arc<Shared>,
    record: *const Record,
}

impl Drop for Registrations {
    fn drop(&mut self) {
        let _ = THREAD.try_with(Thread::forget);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the domain is still there, and records live as long as it does.
        unsafe { &*self.record }.resign();
    }
}

impl Thread {
    const fn new() -> Self {
        Self {
            domain: Cell::new(ptr::null()),
            record: Cell::new(ptr::null()),
            in_callback: Cell::new(false),
            registered: Cell::new(false),
        }
    }

    /// The record of this thread, if it has one, from the cache or from the list.
    #[inline]
    fn find<'a>(&self, domain: &'a Shared) -> Option<&'a Record> {
        if !ptr::eq(self.domain.get(), domain) {
            self.switch(domain)?;
        }
        // SAFETY: by the invariant, a record of `domain`, which keeps its records.
        Some(unsafe { &*self.record.get() })
    }

    /// Makes `domain` the one that was used last.
    #[cold]
    fn switch(&self, domain: &Shared) -> Option<()> {
        if !self.registered.get() {
            return None;
        }
        let find = |registrations: &Registrations| {
            let registrations = registrations.0.borrow();
            let known = registrations.iter().find(|known| ptr::eq(&*known.domain, domain))?;
            Some(known.record)
        };
        let record = REGISTRATIONS.try_with(find).ok().flatten()?;
        self.remember(domain, record);
        Some(())
    }

    /// Claims a record, and forgets domains that are gone. `None` if the thread's list is gone.
    #[cold]
    fn register<'a>(&self, domain: &'a Arc<Shared>) -> Option<&'a Record> {
        let claim = |registrations: &Registrations| {
            let record = domain.records.claim(&domain.clock, false);
            let mut registrations = registrations.0.borrow_mut();
            registrations.retain(|known| !known.domain.is_dropped());
            registrations.push(Registration { domain: Arc::clone(domain), record });
            record
        };
        let record = REGISTRATIONS.try_with(claim).ok()?;
        self.registered.set(true);
        self.remember(domain, record);
        Some(record)
    }

    fn remember(&self, domain: &Shared, record: *const Record) {
        self.domain.set(domain);
        self.record.set(record);
    }

    fn forget(&self) {
        self.domain.set(ptr::null());
        self.record.set(ptr::null());
    }
}

/// This thread's record in `domain`, made now if need be. `None` if its thread-locals are gone.
#[inline]
pub(super) fn record(domain: &Arc<Shared>) -> Option<&Record> {
    let own = |thread: &Thread| thread.find(domain).or_else(|| thread.register(domain));
    THREAD.try_with(own).ok().flatten()
}

/// This thread's record in `domain`, if it has one.
#[inline]
pub(super) fn known_record(domain: &Shared) -> Option<&Record> {
    THREAD.try_with(|thread| thread.find(domain)).ok().flatten()
}

/// Whether this thread is known to be running callbacks, of whichever domain.
pub(super) fn in_callback() -> bool {
    THREAD.try_with(|thread| thread.in_callback.get()).unwrap_or(false)
}

/// Runs `work`, which runs callbacks. They cannot unwind, so the mark needs no guard.
pub(super) fn with_callback_mark<R>(work: impl FnOnce() -> R) -> R {
    let mark = |to| THREAD.try_with(|thread| thread.in_callback.replace(to)).unwrap_or(false);
    let outer = mark(true);
    let result = work();
    mark(outer);
    result
}
