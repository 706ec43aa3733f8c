//! The list of a domain's records: it only grows.

use alloc::boxed::Box;
use core::ptr;

use super::{epoch::Clock, record::Record};
use crate::sync::{AtomicPtr, Ordering};

/// All records of a domain.
///
/// # Invariants
/// What `head` begins is a list of records from `Box`es, freed only when this is dropped.
pub(super) struct Records {
    head: AtomicPtr<Record>,
    orphans: *const Record,
}

// SAFETY: records may be shared, and the list owns them.
unsafe impl Send for Records {}
// SAFETY: as above; the pointers change only atomically.
unsafe impl Sync for Records {}

impl Records {
    pub(super) fn new(clock: &Clock) -> Self {
        let orphans = Box::into_raw(Box::new(Record::orphans(clock)));
        Self { head: AtomicPtr::new(orphans), orphans }
    }

    /// The record for heads of threads that have none.
    pub(super) fn orphans(&self) -> &Record {
        // SAFETY: it is in the list.
        unsafe { &*self.orphans }
    }

    /// A record for the caller to own: one that nobody needs any more, or else a new one, the only
    /// thing in a domain that is ever allocated.
    pub(super) fn claim(&self, clock: &Clock, transient: bool) -> &Record {
        if let Some(record) = self.iter().find(|record| record.try_claim(clock, transient)) {
            return record;
        }
        let new = Box::into_raw(Box::new(Record::owned(clock, transient)));
        // SAFETY: it was just allocated, and will be freed only with the list.
        let record = unsafe { &*new };
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: it is not in the list yet.
            unsafe { record.set_next(head) };
            // Release: whoever finds the record finds it initialised. Pairs with `iter`. Relaxed on
            // failure: the head is only linked to.
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return record,
                Err(now) => head = now,
            }
        }
    }

    /// All records, the youngest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        // Acquire: pairs with the release in `claim`, for this record and for those behind it.
        let mut next: *const Record = self.head.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: null, or a record of the list.
            let record = unsafe { next.as_ref() }?;
            next = record.next();
            Some(record)
        })
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // Relaxed: whoever drops the list has it to itself.
        let mut next = self.head.swap(ptr::null_mut(), Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: the record is from a `Box`, and nobody refers to it or to the list any more.
            let record = unsafe { Box::from_raw(next) };
            next = record.next().cast_mut();
        }
    }
}
