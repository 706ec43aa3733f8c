//! What a thread knows of the domains that it uses.

use alloc::vec::Vec;
use core::{
    cell::{Cell, RefCell},
    ptr,
};

use super::{Shared, record::Record};
use crate::sync::{Arc, const_thread_local};

const_thread_local! {
    static THREAD: Thread = const { Thread::new() };
}

/// A thread's records, and which it used last.
///
/// # Invariants
/// `domain` and `record` are null, or `record` is the thread's in `domain` and in `registrations`,
/// which keeps `domain` allocated: no other domain can get its address.
struct Thread {
    domain: Cell<*const Shared>,
    record: Cell<*const Record>,
    in_callback: Cell<bool>,
    registrations: RefCell<Vec<Registration>>,
}

/// A record that this thread owns.
///
/// # Invariants
/// `record` is one of `domain`'s, and owned by this thread.
struct Registration {
    domain: Arc<Shared>,
    record: *const Record,
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
            registrations: RefCell::new(Vec::new()),
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
        let registrations = self.registrations.borrow();
        let known = registrations.iter().find(|known| ptr::eq(&*known.domain, domain))?;
        self.domain.set(domain);
        self.record.set(known.record);
        Some(())
    }

    /// Claims a record, and forgets domains that are gone.
    #[cold]
    fn register(&self, domain: &Arc<Shared>) {
        let record = domain.records.claim(&domain.clock, false);
        let mut registrations = self.registrations.borrow_mut();
        registrations.retain(|known| !known.domain.is_dropped());
        registrations.push(Registration { domain: Arc::clone(domain), record });
        self.domain.set(&**domain);
        self.record.set(record);
    }
}

/// This thread's record in `domain`, made now if need be. `None` if its thread-locals are gone.
#[inline]
pub(super) fn record(domain: &Arc<Shared>) -> Option<&Record> {
    THREAD
        .try_with(|thread| {
            thread.find(domain).unwrap_or_else(|| {
                thread.register(domain);
                // SAFETY: `register` set it to a record of `domain`, which keeps its records.
                unsafe { &*thread.record.get() }
            })
        })
        .ok()
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
