//! The comparison of the page words with the ledger, at the end of every operation.

use std::{ptr::NonNull, sync::Arc, thread};

use ptfrag::{AllocError, Embed, Frag, Mm, Rcu, RcuFn, RcuHead, SpinLock, word::Word};

use super::{
    SIZE,
    held::Held,
    ledger::Ledger,
    pages::{Pages, Source},
    pool::Parts,
    steady::undisturbed,
};

/// Sees the words of all pages of a source, whatever becomes of the mms that have them: through an
/// mm of its own, which never has a page.
pub(crate) struct Witness<const N: usize> {
    pages: Arc<Pages<N>>,
    mm: Mm<N, SIZE, Idle<N>>,
}

impl<const N: usize> Witness<N> {
    pub(super) fn new(pages: Arc<Pages<N>>) -> Self {
        Self { mm: Mm::new_in(Never, Source(pages.clone()), ()), pages }
    }

    pub(super) fn pages(&self) -> &Arc<Pages<N>> {
        &self.pages
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        self.pages.ledger()
    }

    /// The word of a page at this moment.
    pub(super) fn word(&self, page: usize) -> Option<Word<N>> {
        undisturbed(|| self.mm.page_word(self.pages.at(page)))
    }

    /// Takes a fragment of `mm`, and stamps all of it.
    pub(super) fn take<'a>(
        self: &Arc<Self>,
        mm: usize,
        take: impl FnOnce() -> Result<Frag<N, SIZE, Parts<'a, N>>, AllocError>,
    ) -> Result<Held<'a, N>, AllocError> {
        self.ledger().taking(mm);
        let taken = take().map(|frag| Held::new(frag, mm, self));
        self.settle(Some(mm));
        taken
    }

    /// The calling thread is at the end of an operation in `mm`, or in any: what it freed has got to
    /// its page.
    pub(super) fn settle(&self, mm: Option<usize>) {
        self.ledger().settled();
        self.compare(mm);
    }
}

/// What is done when an operation is over, for those who do not know how large the pages are.
pub(super) trait Compare: Send + Sync {
    /// Compares the words of all pages that `mm` has, or any, with the ledger, as they are at this
    /// moment, while the other threads are anywhere.
    fn compare(&self, mm: Option<usize>);
}

impl<const N: usize> Compare for Witness<N> {
    fn compare(&self, mm: Option<usize>) {
        if thread::panicking() {
            return;
        }
        let out = self.ledger().pages_out(mm).into_iter();
        let words: Vec<_> = out.filter_map(|page| Some((page, self.word(page)?))).collect();
        self.ledger().compare(&words);
    }
}

/// The last field of what does something when it is dropped: compares when the others are gone.
pub(super) struct Ended<const N: usize> {
    pub(super) witness: Arc<Witness<N>>,
    pub(super) mm: usize,
}

impl<const N: usize> Drop for Ended<N> {
    fn drop(&mut self) {
        self.witness.compare(Some(self.mm));
    }
}

/// The parts of the mm that only looks.
struct Idle<const N: usize>;

impl<const N: usize> Embed for Idle<N> {
    type Rcu = Never;
    type Source = Source<N>;
    type Lock = SpinLock;
    type Hooks = ();
}

/// The RCU of an mm that has no use for one.
#[derive(Clone, Copy)]
struct Never;

// SAFETY: nothing is ever queued.
unsafe impl Rcu for Never {
    type Guard = ();

    fn read(self) {}

    fn covers(self, _guard: &()) -> bool {
        true
    }

    unsafe fn call(self, head: NonNull<RcuHead>, _func: RcuFn) {
        unreachable!("{head:p} is of an mm without pages")
    }
}
