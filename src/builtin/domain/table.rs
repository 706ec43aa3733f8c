//! A thread's records, found by their domain.

use core::{ptr, sync::atomic::compiler_fence};

use super::{Shared, record::Record};
use crate::sync::{Ordering, Own, Private, PrivatePtr, const_new};

/// Which records a thread has. A signal handler may look one up while its thread puts another in.
///
/// # Invariants
/// - `slots` is null or from an [`Own`]. At most half of the slots are taken, and whoever looks for a domain from the
///   slot on that belongs to it finds its record before a free slot.
/// - Each record is owned by this thread, and this counts as a reference to its domain.
pub(super) struct Table {
    slots: PrivatePtr<Slots>,
    taken: Private,
}

struct Slots(Own<[PrivatePtr<Record>]>);

impl Slots {
    fn new(len: usize) -> Self {
        Self(Own::slice(len, || PrivatePtr::new(ptr::null_mut())))
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
        let mut known = Own::slice(self.taken.get(), || None);
        let (mut staying, mut gone) = (0, known.len());
        for record in self.records() {
            let place = if is_gone(record) {
                gone -= 1;
                gone
            } else {
                staying += 1;
                staying - 1
            };
            known[place] = Some(record);
        }
        // Half of them free after this one, so that as many come before the next time.
        let new = Slots::new((4 * (staying + 1)).next_power_of_two());
        known[..staying].iter().flatten().for_each(|record| new.put(record));
        self.taken.set(staying);
        let old = self.slots.get();
        // A handler that comes now finds all of it; and from here on it does not find what is gone.
        compiler_fence(Ordering::SeqCst);
        self.slots.set(Own::new(new).into_raw());
        compiler_fence(Ordering::SeqCst);
        known[gone..].iter().flatten().for_each(|record| forget(record));
        // SAFETY: it was this table's alone, and is not any more.
        drop(unsafe { Own::from_raw(old) });
    }

    /// Takes everything out, through `forget`.
    pub(super) fn clear(&self, forget: impl Fn(&Record)) {
        let old = self.slots.get();
        if !old.is_null() {
            self.records().for_each(forget);
            self.slots.set(ptr::null_mut());
            self.taken.set(0);
            // SAFETY: it was this table's alone, and is not any more.
            drop(unsafe { Own::from_raw(old) });
        }
    }
}
