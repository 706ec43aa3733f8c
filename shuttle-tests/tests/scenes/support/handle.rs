//! Per-thread handles, with every operation entered in the ledger, which the page words are compared
//! with after it.

use std::{mem::ManuallyDrop, sync::Arc};

use ptfrag::Local;

use super::{
    SIZE,
    held::Held,
    pool::{Parts, Pool},
    witness::{Ended, Witness},
};

/// A thread's handle of an mm. The fields are dropped in this order.
pub(crate) struct Handle<'a, const N: usize> {
    pub(super) local: Local<N, SIZE, Parts<'a, N>>,
    pub(super) id: usize,
    pub(super) ended: Ended<N>,
}

impl<'a, const N: usize> Handle<'a, N> {
    pub(crate) fn new(pool: &Pool<'a, N>) -> Self {
        let witness = pool.witness();
        witness.ledger().has_handles(pool.id);
        Self {
            local: pool.mm.local(),
            id: pool.id,
            ended: Ended { witness: witness.clone(), mm: pool.id },
        }
    }

    pub(super) fn witness(&self) -> &Arc<Witness<N>> {
        &self.ended.witness
    }

    /// Takes a fragment; `None` when there is none.
    pub(crate) fn alloc(&mut self) -> Option<Held<'a, N>> {
        let witness = self.ended.witness.clone();
        let local = &mut self.local;
        witness.take(self.id, || local.alloc()).ok()
    }

    /// Takes `count` fragments, or as many as there are.
    pub(crate) fn alloc_some(&mut self, count: usize) -> Vec<Held<'a, N>> {
        (0..count).map_while(|_| self.alloc()).collect()
    }

    /// Retires all.
    pub(crate) fn retire_all(&mut self, all: Vec<Held<'a, N>>) {
        for held in all {
            self.witness().ledger().retire_kept(held.frag.as_ptr(), self.id);
            self.local.retire(ManuallyDrop::into_inner(held.frag));
            self.witness().settle(None);
        }
    }

    pub(crate) fn flush(&mut self) {
        self.local.flush();
        self.witness().settle(Some(self.id));
    }
}
