//! A domain's records: claimed by threads that come, given up by those that end.

use alloc::boxed::Box;
use core::ptr;

use super::{Shared, epoch::Epoch, record::Record, tree::Tree};
use crate::{
    builtin::SpinLock,
    embed::RawLock,
    sync::{AtomicPtr, Ordering},
};

/// All records of a domain.
pub(super) struct Records {
    orphans: Box<Record>,
    tree: Tree,
    /// A stack of records that nobody owns. Anybody pushes; only who holds `claiming` takes off, so what is on
    /// top stays linked to the same one for as long as it is there.
    free: AtomicPtr<Record>,
    claiming: SpinLock,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            orphans: Box::new(Record::orphans()),
            tree: Tree::new(),
            free: AtomicPtr::new(ptr::null_mut()),
            claiming: SpinLock::new(),
        }
    }

    /// The record for heads of threads that have none.
    pub(super) fn orphans(&self) -> &Record {
        &self.orphans
    }

    /// A record for the caller to own: one that nobody needs any more, or else a new one, the only
    /// thing in a domain that is ever allocated.
    pub(super) fn claim(&self, domain: &Shared, transient: bool) -> &Record {
        let record = self.take_free().unwrap_or_else(|| self.tree.make());
        // SAFETY: nobody else owns it, and it is not among the free ones any more.
        unsafe { record.claim(domain, transient) };
        record
    }

    /// Gives up a record of the caller's. Its queue stays for others to look after.
    pub(super) fn release(&self, record: &Record) {
        record.give_up();
        let mut top = self.free.load(Ordering::Relaxed);
        loop {
            record.set_next_free(top);
            // Release: the last owner's doings happen before the next one's. Pairs with `take_free`.
            let new = ptr::from_ref(record).cast_mut();
            match self.free.compare_exchange_weak(top, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// A free record, unless another thread is about to take one: rather than wait, a new one is made.
    fn take_free(&self) -> Option<&Record> {
        if self.free.load(Ordering::Relaxed).is_null() || !self.claiming.try_lock() {
            return None;
        }
        // Acquire, also below: pairs with `release`.
        let mut top = self.free.load(Ordering::Acquire);
        let found = loop {
            // SAFETY: a record of this domain, or null.
            let record = unsafe { top.as_ref() };
            let Some(record) = record else { break None };
            let next = record.next_free();
            match self.free.compare_exchange_weak(top, next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break Some(record),
                Err(now) => top = now,
            }
        };
        // SAFETY: this thread locked it.
        unsafe { self.claiming.unlock() };
        found
    }

    /// The orphans', and all records that are not parked: all in which a section may be open, and all that
    /// may have something queued.
    pub(super) fn open(&self) -> impl Iterator<Item = &Record> {
        core::iter::once(self.orphans()).chain(self.readers())
    }

    /// See [`Tree::readers`].
    pub(super) fn readers(&self) -> impl Iterator<Item = &Record> {
        self.tree.readers()
    }

    /// All records, parked or not.
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        core::iter::once(self.orphans()).chain(self.tree.all())
    }

    /// See [`Tree::park`].
    pub(super) fn park(&self, now: Epoch) {
        self.tree.park(now);
    }
}
