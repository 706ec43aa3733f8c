//! A domain's records: claimed by threads that come, given up by those that end.

use super::{Shared, epoch::Clock, record::Record, tree::Tree};
use crate::sync::{AtomicU64, Ordering, Own};

fn number_of(top: u64) -> usize {
    (top & ((1 << NUMBER) - 1)) as usize
}

/// All records of a domain.
pub(super) struct Records {
    orphans: Own<Record>,
    tree: Tree,
    /// A stack of records that nobody owns: the number of the one on top, or zero, and above that how often one was
    /// taken off, so that a top that comes back (ABA) is another.
    free: AtomicU64,
}

/// The bits of `free` that are a number. Records beyond that are not used again.
const NUMBER: u32 = 24;

impl Records {
    pub(super) fn new() -> Self {
        Self { orphans: Own::new(Record::orphans()), tree: Tree::new(), free: AtomicU64::new(0) }
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
        let number = record.number() as u64;
        if number >> NUMBER != 0 {
            return;
        }
        let mut top = self.free.load(Ordering::Relaxed);
        loop {
            record.set_next_free(number_of(top));
            let new = (top >> NUMBER << NUMBER) | number;
            // Release: the last owner's doings happen before the next one's. Pairs with `take_free`.
            match self.free.compare_exchange_weak(top, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// A free record.
    fn take_free(&self) -> Option<&Record> {
        // Acquire, also below: pairs with `release`.
        let mut top = self.free.load(Ordering::Acquire);
        while number_of(top) != 0 {
            // SAFETY: there is a record with a number that was put here.
            let record = unsafe { self.tree.get(number_of(top)) };
            let new = ((top >> NUMBER) + 1) << NUMBER | record.next_free() as u64;
            match self.free.compare_exchange_weak(top, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(record),
                Err(now) => top = now,
            }
        }
        None
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
    pub(super) fn park(&self, clock: &Clock) {
        self.tree.park(clock);
    }
}
