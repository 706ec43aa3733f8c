//! The crate's mm, with every operation entered in the ledger.

use std::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
};

use ptfrag::{AllocError, Embed, Frag, Hooks, Mm, Slot, SpinLock};
use shuttle::sync::atomic::{AtomicPtr, Ordering};

use super::{
    SIZE, below,
    book::{Sets, Stamp},
    ledger::Ledger,
    pages::{Pages, Source},
    rcu::{Domain, Guard},
};

/// The parts of the mms.
pub(crate) struct Parts<'a, const N: usize>(PhantomData<&'a ()>);

impl<'a, const N: usize> Embed for Parts<'a, N> {
    type Rcu = &'a Domain;
    type Source = Source<N>;
    type Lock = SpinLock;
    type Hooks = Watch;
}

/// Enters what the crate tells its hooks. It is dropped with the mm's head.
pub(crate) struct Watch {
    pub(super) ledger: Arc<Ledger>,
    pub(super) mm: usize,
    /// Refuses a page now and then.
    pub(super) picky: bool,
}

impl Hooks for Watch {
    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        if self.picky && below(4) == 0 {
            return Err(AllocError);
        }
        self.ledger.page_in(page, self.mm);
        Ok(())
    }

    fn page_out(&self, page: NonNull<u8>) {
        self.ledger.page_out(page, self.mm);
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        self.ledger.reclaim(frag);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ledger.head_gone(self.mm);
    }
}

/// An mm.
pub(crate) struct Pool<'a, const N: usize> {
    pub(super) mm: Mm<N, SIZE, Parts<'a, N>>,
    pub(super) id: usize,
    pub(super) pages: Arc<Pages<N>>,
}

impl<'a, const N: usize> Pool<'a, N> {
    fn ledger(&self) -> &Arc<Ledger> {
        self.pages.ledger()
    }

    /// Takes a fragment and stamps all of it.
    pub(crate) fn alloc(&self) -> Result<Held<'a, N>, AllocError> {
        let mut frag = self.mm.alloc()?;
        let stamp = self.ledger().take(frag.as_ptr(), self.id);
        for word in frag.chunks_exact_mut(size_of::<Stamp>()) {
            word.copy_from_slice(&stamp.to_ne_bytes());
        }
        Ok(Held { frag: ManuallyDrop::new(frag), ledger: self.ledger().clone() })
    }

    /// Takes `count` fragments, or as many as there are.
    pub(crate) fn alloc_some(&self, count: usize) -> Vec<Held<'a, N>> {
        (0..count).map_while(|_| self.alloc().ok()).collect()
    }

    /// Takes fragments until there is none.
    pub(crate) fn alloc_all(&self) -> Vec<Held<'a, N>> {
        self.alloc_some(usize::MAX)
    }

    pub(crate) fn close(&self) {
        self.mm.close();
    }

    /// A place for readers to look, a `Slot` of the crate's or a plain pointer.
    pub(crate) fn place(&self, slot: bool) -> Place<'a, N> {
        if slot {
            Place::Slot(self.mm.slot(), Mutex::new(None), self.ledger().clone())
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
                let new = new.map_or(ptr::null_mut(), |frag| frag.into_raw().as_ptr());
                if let Some(old) = NonNull::new(shown.swap(new, Ordering::SeqCst)) {
                    self.ledger().retire(old);
                    // SAFETY: published once, and the swap made it ours.
                    unsafe { self.mm.retire_raw(old) };
                }
            }
        }
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

    /// Checks that the words of the mm's pages say what the ledger says, when no other thread is
    /// left: nothing is lost, and what is free can be found, unless the mm is closed.
    pub(crate) fn agree(&self, open: bool) {
        for (page, sets) in self.ledger().pages_of(self.id) {
            let Some(word) = self.mm.page_word(self.pages.at(page)) else { continue };
            let free = word.free().bits();
            let waiting = (word.pending() | word.next()).bits();
            let listed = open && free != 0 && !word.is_draining();
            // A callback that found the lock held has called the hook, and comes again.
            let known = Sets { free, used: word.used().bits(), retired: waiting & !sets.free };
            let expected = Sets { free: sets.free & !waiting, ..sets };
            if known != expected || word.is_listed() != listed || !word.is_legal() {
                self.ledger().fault(format!("page {page} of mm {}: {word} {expected:x?}", self.id));
            }
        }
    }

    /// How many fragments can be had without a grace period, when no other thread is left.
    pub(crate) fn obtainable(&self) -> usize {
        let listed = |(page, sets): (usize, Sets)| {
            let word = self.mm.page_word(self.pages.at(page))?;
            (!word.is_draining()).then_some(sets.free.count_ones() as usize)
        };
        let own: usize = self.ledger().pages_of(self.id).into_iter().filter_map(listed).sum();
        own + self.pages.at_home() * N
    }
}

/// What a reader has found.
pub(crate) struct Seen {
    frag: NonNull<u8>,
    stamp: Stamp,
}

/// Where readers look.
pub(crate) enum Place<'a, const N: usize> {
    Slot(Slot<N, SIZE, Parts<'a, N>>, Mutex<Option<NonNull<u8>>>, Arc<Ledger>),
    Raw(AtomicPtr<u8>),
}

impl<const N: usize> Place<'_, N> {
    /// Drops a `Slot`, which retires what it shows, with or without its mm.
    pub(crate) fn end(self) {
        if let Self::Slot(slot, shown, ledger) = self {
            let shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(frag) = shown {
                ledger.retire(frag);
            }
            drop(slot);
        }
    }
}

// SAFETY: the pointer beside the slot is only an address to look up in the ledger.
unsafe impl<const N: usize> Send for Place<'_, N> {}
// SAFETY: as above, and behind a lock.
unsafe impl<const N: usize> Sync for Place<'_, N> {}

/// A fragment that a thread owns. It has to be freed by hand: if a schedule fails, nothing of it is
/// freed while the stack unwinds.
#[must_use]
pub(crate) struct Held<'a, const N: usize> {
    frag: ManuallyDrop<Frag<N, SIZE, Parts<'a, N>>>,
    ledger: Arc<Ledger>,
}

impl<const N: usize> Held<'_, N> {
    /// Makes the calling thread the owner.
    pub(crate) fn adopt(&self) {
        self.ledger.hand_over(self.frag.as_ptr());
    }

    pub(crate) fn give_back(self) {
        self.ledger.give_back(self.frag.as_ptr());
        ManuallyDrop::into_inner(self.frag).give_back();
    }

    pub(crate) fn retire(self) {
        self.ledger.retire(self.frag.as_ptr());
        ManuallyDrop::into_inner(self.frag).retire();
    }

    /// Gives all back, those of a page in one step.
    pub(crate) fn give_back_all(mut all: Vec<Self>) {
        // By their place in the one block that they lie in, so that schedules replay.
        all.sort_by_key(|held| held.frag.as_ptr());
        all.iter().for_each(|held| held.ledger.give_back(held.frag.as_ptr()));
        Frag::give_back_all(all.into_iter().map(|held| ManuallyDrop::into_inner(held.frag)));
    }

    /// Retires all, those of a page in one step.
    pub(crate) fn retire_all(mut all: Vec<Self>) {
        all.sort_by_key(|held| held.frag.as_ptr());
        all.iter().for_each(|held| held.ledger.retire(held.frag.as_ptr()));
        Frag::retire_all(all.into_iter().map(|held| ManuallyDrop::into_inner(held.frag)));
    }

    /// Frees all, in one of the ways there are.
    pub(crate) fn free_somehow(all: Vec<Self>) {
        match below(4) {
            0 => all.into_iter().for_each(Self::give_back),
            1 => all.into_iter().for_each(Self::retire),
            2 => Self::give_back_all(all),
            _ => Self::retire_all(all),
        }
    }
}
