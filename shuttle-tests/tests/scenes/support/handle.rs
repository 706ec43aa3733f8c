//! Per-thread handles, with every operation entered in the ledger.

use std::{mem::ManuallyDrop, sync::Arc};

use ptfrag::Local;

use super::{SIZE, held::Held, ledger::Ledger, pool::Parts, pool::Pool};

/// A thread's handle of an mm.
pub(crate) struct Handle<'a, const N: usize> {
    pub(super) local: Local<N, SIZE, Parts<'a, N>>,
    id: usize,
    pub(super) ledger: Arc<Ledger>,
}

impl<'a, const N: usize> Handle<'a, N> {
    pub(crate) fn new(pool: &Pool<'a, N>) -> Self {
        Self { local: pool.mm.local(), id: pool.id, ledger: pool.ledger().clone() }
    }

    /// Takes `count` fragments, or as many as there are.
    pub(crate) fn alloc_some(&mut self, count: usize) -> Vec<Held<'a, N>> {
        let one = |_| self.local.alloc().ok().map(|frag| Held::new(frag, self.id, &self.ledger));
        (0..count).map_while(one).collect()
    }

    /// Retires all.
    pub(crate) fn retire_all(&mut self, all: Vec<Held<'a, N>>) {
        for held in all {
            self.ledger.retire(held.frag.as_ptr());
            self.local.retire(ManuallyDrop::into_inner(held.frag));
        }
    }

    pub(crate) fn flush(&mut self) {
        self.local.flush();
    }
}
