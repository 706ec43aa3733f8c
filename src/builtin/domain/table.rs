//! A thread's records, found by their domain.

use alloc::{boxed::Box, vec::Vec};
use core::{ptr, sync::atomic::compiler_fence};

use super::{Shared, record::Record};
use crate::sync::{Ordering, Private, PrivatePtr, const_new};

/// Which records a thread has. A signal handler may look one up while its thread puts another in.
///
/// # Invariants
/// - `slots` is null or from a `Box`. At most half of the slots are taken, and whoever looks for a domain from the
///   slot on that belongs to it finds its record before a free slot.
/// - Each record is owned by this thread, and this counts as a reference to its domain.
pub(super) struct Table {
    slots: PrivatePtr<Slots>,
    taken: Private,
}

struct Slots(Box<[PrivatePtr<Record>]>);

impl Slots {
    fn new(len: usize) -> Self {
        Self((0..len).map(|_| PrivatePtr::new(ptr::null_mut())).collect())
    }

    /// All slots, in the order in which the record of `domain` may be in them. There is a power of two of them.
    fn of(&self, domain: *const Shared) -> impl Iterator<Item = &PrivatePtr<Record>> {
        // Fibonacci hashing (Knuth): the bits of a product with 2^64 / phi that depend on all of the address.
        let hash = (domain.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let last = self.0.len() - 1;
        (0..=last).map(move |step| &self.0[(hash as usize).wrapping_add(step) & last])
    }

    fn put(&self, record: &Record) {
        let free = self.of(record.domain()).find(|slot| slot.get().is_null());
        free.expect("there are more slots than records").set(ptr::from_ref(record).cast_mut());
    }
}

impl Table {
    const_new! {
        pub(super) fn new() -> Self {
            Self { slots: PrivatePtr::new(ptr::null_mut()), taken: Private::new(0) }
        }
    }

    fn slots(&self) -> Option<&Slots> {
        // SAFETY: by the invariant.
        unsafe { self.slots.get().as_ref() }
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        let slots = self.slots().map_or(&[][..], |slots| &slots.0);
        // SAFETY: null, or a record that this thread owns.
        slots.iter().filter_map(|slot| unsafe { slot.get().as_ref() })
    }

    /// The record in `domain`.
    pub(super) fn find(&self, domain: &Shared) -> Option<&Record> {
        // SAFETY: null, or a record that this thread owns.
        let found = self.slots()?.of(domain).map(|slot| unsafe { slot.get().as_ref() });
        found.take_while(Option::is_some).flatten().find(|record| ptr::eq(record.domain(), domain))
    }

    /// Puts a record in. When there are many, those that `is_gone` go out first, through `forget`, which may free them.
    pub(super) fn insert(
        &self,
        record: &Record,
        is_gone: impl Fn(&Record) -> bool,
        forget: impl Fn(&Record),
    ) {
        if self.slots().is_none_or(|slots| 2 * (self.taken.get() + 1) > slots.0.len()) {
            self.grow(is_gone, forget);
        }
        self.slots().expect("they were just made").put(record);
        self.taken.set(self.taken.get() + 1);
    }

    fn grow(&self, is_gone: impl Fn(&Record) -> bool, forget: impl Fn(&Record)) {
        // Asked once for each: the answer changes when another thread drops the domain.
        let (gone, staying): (Vec<_>, Vec<_>) = self.records().partition(|record| is_gone(record));
        // Half of them free after this one, so that as many come before the next time.
        let new = Slots::new((4 * (staying.len() + 1)).next_power_of_two());
        staying.iter().for_each(|record| new.put(record));
        self.taken.set(staying.len());
        let old = self.slots.get();
        // A handler that comes now finds all of it; and from here on it does not find what is gone.
        compiler_fence(Ordering::SeqCst);
        self.slots.set(Box::into_raw(Box::new(new)));
        compiler_fence(Ordering::SeqCst);
        gone.into_iter().for_each(forget);
        if !old.is_null() {
            // SAFETY: it was this table's alone, and is not any more.
            drop(unsafe { Box::from_raw(old) });
        }
    }

    /// Takes everything out, through `forget`.
    pub(super) fn clear(&self, forget: impl Fn(&Record)) {
        let old = self.slots.get();
        if !old.is_null() {
            self.records().for_each(forget);
            self.slots.set(ptr::null_mut());
            self.taken.set(0);
            // SAFETY: it was this table's alone, and is not any more.
            drop(unsafe { Box::from_raw(old) });
        }
    }
}
