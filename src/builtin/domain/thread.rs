//! What a thread knows of the domains that it uses.

use core::{cell::Cell, ptr, sync::atomic::compiler_fence};

use super::{Shared, record::Record, table::Table};
use crate::sync::{Arc, Ordering, Private, PrivatePtr, const_new, const_thread_local};

const_thread_local! {
    // Nothing is to be done about it when the thread ends, so a thread that looks here for the
    // first time, in `call`, need not be put down for that, which would allocate.
    static THREAD: Thread = const { Thread::new() };
}
const_thread_local! {
    static REGISTRATIONS: Registrations = const { Registrations::new() };
}

/// Which of its records a thread used last. One word, so that a signal handler finds it right and leaves it so.
///
/// # Invariants
/// `last` is null or one of the registrations.
struct Thread {
    last: PrivatePtr<Record>,
    in_callback: Cell<bool>,
    /// Whether there ever was a registration.
    registered: Private,
}

/// A thread's records. They are given up when it ends.
struct Registrations {
    table: Table,
    /// Whether the table is being changed.
    changing: Private,
}

impl Registrations {
    const_new! {
        fn new() -> Self {
            Self { table: Table::new(), changing: Private::new(0) }
        }
    }
}

impl Drop for Registrations {
    fn drop(&mut self) {
        let _ = THREAD.try_with(Thread::forget);
        self.table.clear(resign);
    }
}

/// The thread has nothing to do with the record any more, nor with its domain.
fn resign(record: &Record) {
    // SAFETY: the registration was a reference to the domain.
    let domain = unsafe { Arc::from_raw(record.domain()) };
    if record.resign() {
        domain.records.release(record);
    }
}

/// Whether nobody uses the record's domain any more.
fn is_gone(record: &Record) -> bool {
    // SAFETY: the registration is a reference to the domain.
    unsafe { &*record.domain() }.is_dropped()
}

impl Thread {
    const_new! {
        fn new() -> Self {
            Self {
                last: PrivatePtr::new(ptr::null_mut()),
                in_callback: Cell::new(false),
                registered: Private::new(0),
            }
        }
    }

    /// The record of this thread, if it has one, the last one or from the table.
    #[inline]
    fn find<'a>(&self, domain: &'a Shared) -> Option<&'a Record> {
        self.last_in(domain).or_else(|| self.look_up(domain))
    }

    /// The record that this thread used last, if it is of this domain.
    #[inline]
    fn last_in<'a>(&self, domain: &'a Shared) -> Option<&'a Record> {
        // SAFETY: by the invariant, and records live as long as their domain.
        let last = unsafe { self.last.get().as_ref() };
        last.filter(|last| ptr::eq(last.domain(), domain))
    }

    fn look_up<'a>(&self, domain: &'a Shared) -> Option<&'a Record> {
        if self.registered.get() == 0 {
            return None;
        }
        let find = |known: &Registrations| known.table.find(domain).map(ptr::from_ref);
        let record = REGISTRATIONS.try_with(find).ok().flatten()?;
        self.last.set(record.cast_mut());
        // SAFETY: a record of `domain`, which keeps its records.
        Some(unsafe { &*record })
    }

    /// Claims a record, and forgets domains that are gone. `None` if the thread's table is gone, or is just being
    /// changed, which only a signal handler can find.
    fn register<'a>(&self, domain: &'a Arc<Shared>) -> Option<&'a Record> {
        let claim = |known: &Registrations| {
            if known.changing.get() != 0 {
                return None;
            }
            known.changing.set(1);
            compiler_fence(Ordering::SeqCst);
            // Once more: a handler may have been here since the thread looked.
            let record = known.table.find(domain).unwrap_or_else(|| {
                let record = domain.records.claim(domain, false);
                record.count(Arc::into_raw(Arc::clone(domain)));
                known.table.insert(record, is_gone, |gone| {
                    // It may be what was used last.
                    self.forget();
                    compiler_fence(Ordering::SeqCst);
                    resign(gone);
                });
                record
            });
            self.registered.set(1);
            compiler_fence(Ordering::SeqCst);
            known.changing.set(0);
            Some(ptr::from_ref(record))
        };
        let record = REGISTRATIONS.try_with(claim).ok().flatten()?;
        self.last.set(record.cast_mut());
        // SAFETY: a record of `domain`, which keeps its records.
        Some(unsafe { &*record })
    }

    fn forget(&self) {
        self.last.set(ptr::null_mut());
    }
}

/// This thread's record in `domain`, made now if need be. `None` if its thread-locals are gone.
#[inline]
pub(super) fn record(domain: &Arc<Shared>) -> Option<&Record> {
    THREAD.try_with(|thread| thread.last_in(domain)).ok().flatten().or_else(|| search(domain))
}

#[cold]
fn search(domain: &Arc<Shared>) -> Option<&Record> {
    let own = |thread: &Thread| thread.look_up(domain).or_else(|| thread.register(domain));
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
