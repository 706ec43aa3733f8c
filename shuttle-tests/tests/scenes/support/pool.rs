//! The crate's mm, with every operation entered in the ledger, which the page words are compared with
//! after it.

use std::{marker::PhantomData, sync::Arc};

use ptfrag::{AllocError, Embed, Mm};

use super::{
    SIZE,
    book::{Sets, Way},
    domain::Domain,
    held::Held,
    hooks::{BusyCell, Watch},
    ledger::Ledger,
    lock::Lock,
    pages::Source,
    witness::{Ended, Witness},
};

/// The parts of the mms.
pub(crate) struct Parts<'a, const N: usize>(PhantomData<&'a ()>);

impl<'a, const N: usize> Embed for Parts<'a, N> {
    type Rcu = &'a Domain;
    type Source = Source<N>;
    type Lock = Lock;
    type Hooks = Watch;
}

/// An mm. The fields are dropped in this order.
pub(crate) struct Pool<'a, const N: usize> {
    pub(super) _closing: Closing<N>,
    pub(super) mm: Mm<N, SIZE, Parts<'a, N>>,
    pub(super) _closed: Closing<N>,
    pub(super) ended: Ended<N>,
    pub(super) id: usize,
    /// What the hook does beside.
    pub(super) busy: Arc<BusyCell>,
}

/// Enters, when it is dropped, that an mm begins to close, or is at the end of it.
pub(super) struct Closing<const N: usize> {
    pub(super) witness: Arc<Witness<N>>,
    pub(super) mm: usize,
    pub(super) way: Way,
}

impl<const N: usize> Drop for Closing<N> {
    fn drop(&mut self) {
        self.witness.ledger().closing(self.mm, self.way);
    }
}

impl<'a, const N: usize> Pool<'a, N> {
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        self.witness().ledger()
    }

    pub(super) fn witness(&self) -> &Arc<Witness<N>> {
        &self.ended.witness
    }

    /// Has the mm keep that many pages when they are empty.
    pub(crate) fn keeping(self, pages: u32) -> Self {
        Self { mm: self.mm.keeping(pages), ..self }
    }

    /// Lets go of those that it keeps.
    pub(crate) fn shrink(&self) {
        self.mm.shrink();
        self.witness().settle(Some(self.id));
    }

    /// Takes a fragment and stamps all of it.
    pub(crate) fn alloc(&self) -> Result<Held<'a, N>, AllocError> {
        self.witness().take(self.id, || self.mm.alloc())
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
        self.ledger().closing(self.id, Way::Closing);
        self.mm.close();
        self.ledger().closing(self.id, Way::Closed);
        self.witness().settle(Some(self.id));
    }

    /// Checks that the words of the mm's pages say what the ledger says, when no other thread is
    /// left: nothing is lost, and what is free can be found, unless the mm is closed.
    pub(crate) fn agree(&self, open: bool) {
        for (page, sets) in self.ledger().pages_of(self.id) {
            let Some(word) = self.witness().word(page) else { continue };
            let free = word.free().bits();
            let waiting = (word.pending() | word.next()).bits();
            let listed = open && free != 0;
            // A callback that found the lock held has called the hook, and comes again.
            let (used, retired) = (word.used().bits(), waiting & !sets.free);
            let known = Sets { free, used, retired, under_way: 0 };
            let expected = Sets { free: sets.free & !waiting, under_way: 0, ..sets };
            if known != expected || word.is_listed() != listed || !word.is_legal() {
                self.ledger().fault(format!("page {page} of mm {}: {word} {expected:x?}", self.id));
            }
        }
    }

    /// How many of the mm's fragments are retired and have not been reclaimed.
    pub(crate) fn retired(&self) -> u32 {
        let pages = self.ledger().pages_of(self.id);
        pages.iter().map(|(_, sets)| sets.retired.count_ones()).sum()
    }

    /// How many of the mm's fragments are pending and have not been reclaimed.
    pub(crate) fn unreclaimed(&self) -> u32 {
        let pages = self.ledger().pages_of(self.id).into_iter();
        let word = |page| self.witness().word(page);
        let mask = |(page, sets): (_, Sets)| Some(word(page)?.pending().bits() & sets.retired);
        pages.filter_map(mask).map(u16::count_ones).sum()
    }

    /// How many fragments can be had without a grace period, when no other thread is left.
    pub(crate) fn obtainable(&self) -> usize {
        let free = |(_, sets): (usize, Sets)| sets.free.count_ones() as usize;
        let own: usize = self.ledger().pages_of(self.id).into_iter().map(free).sum();
        own + self.witness().pages().at_home() * N
    }
}
