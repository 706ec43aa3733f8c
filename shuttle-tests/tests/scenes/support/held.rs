//! Tokens, with every use of them entered in the ledger, which the page words are compared with after
//! it.

use std::{mem::ManuallyDrop, sync::Arc};

use ptfrag::Frag;

use super::{SIZE, below, book::Stamp, pool::Parts, witness::Witness};

/// A fragment that a thread owns. It has to be freed by hand: if a schedule fails, nothing of it is
/// freed while the stack unwinds.
#[must_use]
pub(crate) struct Held<'a, const N: usize> {
    pub(super) frag: ManuallyDrop<Frag<N, SIZE, Parts<'a, N>>>,
    pub(super) mm: usize,
    pub(super) witness: Arc<Witness<N>>,
}

impl<'a, const N: usize> Held<'a, N> {
    /// A fragment that mm `mm` has just handed out: stamps all of it.
    pub(super) fn new(
        mut frag: Frag<N, SIZE, Parts<'a, N>>,
        mm: usize,
        witness: &Arc<Witness<N>>,
    ) -> Self {
        let stamp = witness.ledger().take(frag.as_ptr(), mm);
        for word in frag.chunks_exact_mut(size_of::<Stamp>()) {
            word.copy_from_slice(&stamp.to_ne_bytes());
        }
        Self { frag: ManuallyDrop::new(frag), mm, witness: witness.clone() }
    }

    /// Makes the calling thread the owner.
    pub(crate) fn adopt(&self) {
        self.witness.ledger().hand_over(self.frag.as_ptr());
    }

    pub(crate) fn give_back(self) {
        self.witness.ledger().give_back(self.frag.as_ptr());
        ManuallyDrop::into_inner(self.frag).give_back();
        self.witness.settle(Some(self.mm));
    }

    pub(crate) fn retire(self) {
        self.witness.ledger().retire(self.frag.as_ptr());
        ManuallyDrop::into_inner(self.frag).retire();
        self.witness.settle(Some(self.mm));
    }

    /// Gives all back, those of a page in one step.
    pub(crate) fn give_back_all(all: Vec<Self>) {
        Self::give_back_in_order(Self::sorted(all));
    }

    /// Gives all back, neighbours in one step.
    pub(crate) fn give_back_in_order(all: Vec<Self>) {
        let Some(witness) = all.first().map(|held| held.witness.clone()) else { return };
        all.iter().for_each(|held| witness.ledger().give_back(held.frag.as_ptr()));
        Frag::give_back_all(all.into_iter().map(|held| ManuallyDrop::into_inner(held.frag)));
        witness.settle(None);
    }

    /// Retires all, those of a page in one step.
    pub(crate) fn retire_all(all: Vec<Self>) {
        Self::retire_in_order(Self::sorted(all));
    }

    /// Retires all, neighbours in one step.
    pub(crate) fn retire_in_order(all: Vec<Self>) {
        let Some(witness) = all.first().map(|held| held.witness.clone()) else { return };
        all.iter().for_each(|held| witness.ledger().retire(held.frag.as_ptr()));
        Frag::retire_all(all.into_iter().map(|held| ManuallyDrop::into_inner(held.frag)));
        witness.settle(None);
    }

    /// By their place in the one block that they lie in, so that schedules replay.
    fn sorted(mut all: Vec<Self>) -> Vec<Self> {
        all.sort_by_key(|held| held.frag.as_ptr());
        all
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
