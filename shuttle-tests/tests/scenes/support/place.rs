//! Where readers look, with what they see entered in the ledger.

use std::{
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
};

use ptfrag::{Frag, Slot};
use shuttle::sync::atomic::{AtomicPtr, Ordering};

use super::{
    SIZE,
    book::Stamp,
    domain::Guard,
    handle::Handle,
    held::Held,
    pool::{Parts, Pool},
    witness::Witness,
};

impl<'a, const N: usize> Pool<'a, N> {
    /// A place for readers to look, a `Slot` of the crate's or a plain pointer.
    pub(crate) fn place(&self, slot: bool) -> Place<'a, N> {
        if slot {
            Place::Slot(self.mm.slot(), Mutex::new(None), self.witness().clone())
        } else {
            Place::Raw(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// Shows readers another fragment, or none, and retires what they saw before. A `Slot` is
    /// changed by one thread at a time, which knows what it holds.
    pub(crate) fn show(&self, place: &Place<'a, N>, held: Option<Held<'a, N>>) {
        let new = held.map(|held| {
            self.ledger().publish(held.frag.as_ptr());
            ManuallyDrop::into_inner(held.frag)
        });
        match place {
            Place::Slot(slot, shown, _) => {
                let now = new.as_ref().map(Frag::as_ptr);
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let old = std::mem::replace(&mut *shown, now);
                drop(shown);
                if let Some(old) = old {
                    self.ledger().retire(old);
                }
                match new {
                    Some(frag) => slot.publish(frag),
                    None => slot.clear(),
                }
            }
            Place::Raw(shown) => {
                if let Some(old) = swap(shown, new) {
                    self.ledger().retire(old);
                    // SAFETY: published once, and the swap made it ours.
                    unsafe { self.mm.retire_raw(old) };
                }
            }
        }
        self.witness().settle(Some(self.id));
    }

    /// Looks at what a place shows, and checks its bytes.
    pub(crate) fn look(&self, place: &Place<'a, N>, guard: &Guard<'a>) -> Option<Seen> {
        let frag = match place {
            Place::Slot(slot, ..) => slot.load(guard).map(|bytes| NonNull::from(bytes).cast()),
            Place::Raw(shown) => NonNull::new(shown.load(Ordering::SeqCst)),
        }?;
        Some(Seen { frag, stamp: self.ledger().see(frag) })
    }

    /// Checks, in the section in which it was seen, that a fragment is as it was.
    pub(crate) fn look_again(&self, seen: &Seen) {
        self.ledger().still(seen.frag, seen.stamp);
    }
}

impl<'a, const N: usize> Handle<'a, N> {
    /// As [`Pool::show`], in a plain pointer, with what they saw before retired through the handle.
    pub(crate) fn show(&mut self, place: &Place<'a, N>, held: Option<Held<'a, N>>) {
        let Place::Raw(shown) = place else { unreachable!("slots are shown by their pool") };
        let new = held.map(|held| {
            self.witness().ledger().publish(held.frag.as_ptr());
            ManuallyDrop::into_inner(held.frag)
        });
        if let Some(old) = swap(shown, new) {
            self.witness().ledger().retire_kept(old, self.id);
            // SAFETY: published once, and the swap made it ours.
            unsafe { self.local.retire_raw(old) };
        }
        self.witness().settle(Some(self.id));
    }
}

/// Shows `new`; answers with what was shown before.
fn swap<const N: usize>(
    shown: &AtomicPtr<u8>,
    new: Option<Frag<N, SIZE, Parts<'_, N>>>,
) -> Option<NonNull<u8>> {
    let new = new.map_or(ptr::null_mut(), |frag| frag.into_raw().as_ptr());
    NonNull::new(shown.swap(new, Ordering::SeqCst))
}

/// What a reader has found.
pub(crate) struct Seen {
    frag: NonNull<u8>,
    stamp: Stamp,
}

/// Where readers look.
pub(crate) enum Place<'a, const N: usize> {
    Slot(Slot<N, SIZE, Parts<'a, N>>, Mutex<Option<NonNull<u8>>>, Arc<Witness<N>>),
    Raw(AtomicPtr<u8>),
}

impl<const N: usize> Place<'_, N> {
    /// Drops a `Slot`, which retires what it shows, with or without its mm.
    pub(crate) fn end(self) {
        if let Self::Slot(slot, shown, witness) = self {
            let shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(frag) = shown {
                witness.ledger().retire(frag);
            }
            drop(slot);
            witness.settle(None);
        }
    }
}

// SAFETY: the pointer beside the slot is only an address to look up in the ledger.
unsafe impl<const N: usize> Send for Place<'_, N> {}
// SAFETY: as above, and behind a lock.
unsafe impl<const N: usize> Sync for Place<'_, N> {}
