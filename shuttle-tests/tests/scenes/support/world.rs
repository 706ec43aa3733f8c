//! All that a schedule starts with, and what must be left of it at its end.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    mem::MaybeUninit,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use ptfrag::{Mm, MmHead};

use super::{
    SIZE,
    book::Way,
    domain::Domain,
    hooks::{BusyCell, Watch},
    ledger::Ledger,
    pages::{Pages, Source},
    pool::{Closing, Parts, Pool},
    witness::{Compare, Ended, Witness},
};

/// A page source of `N`-fragment pages, an RCU domain, and the places of the mms' heads.
pub(crate) struct World<const N: usize> {
    domain: Domain,
    witness: Arc<Witness<N>>,
    total: usize,
    /// Of each mm.
    lanes: usize,
    heads: Mutex<Vec<Place>>,
}

/// Where an mm's head is, or was.
struct Place(NonNull<u8>, Layout);

// SAFETY: nothing is done with the address but to free it.
unsafe impl Send for Place {}

impl<const N: usize> World<N> {
    /// With `total` pages, and the model of RCU.
    pub(crate) fn new(total: usize) -> Self {
        Self::with(total, Domain::model)
    }

    /// With `total` pages, and a domain of the crate's own.
    pub(crate) fn with_real_domain(total: usize) -> Self {
        Self::with(total, Domain::real)
    }

    fn with(total: usize, domain: fn(Arc<Ledger>, Arc<dyn Compare>) -> Domain) -> Self {
        let witness = Arc::new(Witness::new(Arc::new(Pages::new(total))));
        let domain = domain(witness.ledger().clone(), witness.clone());
        Self { domain, witness, total, lanes: 1, heads: Mutex::new(Vec::new()) }
    }

    /// With so many lanes in each mm.
    pub(crate) fn lanes(self, lanes: usize) -> Self {
        Self { lanes, ..self }
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// An mm. Its head lies in memory that is overwritten, but not freed, when the crate disposes
    /// of it: whoever still uses it finds no lock, no list and no counter there.
    pub(crate) fn mm(&self, picky: bool) -> Pool<'_, N> {
        type Head<'a, const N: usize> = MmHead<N, SIZE, Parts<'a, N>>;
        let layout = Layout::new::<Head<'_, N>>();
        // SAFETY: a head is not empty.
        let place = unsafe { alloc(layout) };
        let place = NonNull::new(place).unwrap_or_else(|| handle_alloc_error(layout));
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let id = heads.len();
        heads.push(Place(place, layout));
        let busy = Arc::new(BusyCell::default());
        let witness = &self.witness;
        witness.ledger().opened(id);
        let hooks = Watch { ledger: witness.ledger().clone(), mm: id, picky, busy: busy.clone() };
        let dispose = |head: NonNull<Head<'_, N>>| {
            let place = head.cast::<MaybeUninit<Head<'_, N>>>();
            // SAFETY: the place is ours again.
            unsafe { place.write_bytes(0xdb, 1) };
        };
        // SAFETY: the place stays until the end of the world.
        let mm = unsafe {
            let source = Source(witness.pages().clone());
            Mm::new_at(place.cast(), dispose, &self.domain, source, hooks)
        };
        let mm = mm.lanes(self.lanes);
        let at = |way| Closing { witness: witness.clone(), mm: id, way };
        let (_closing, _closed) = (at(Way::Closing), at(Way::Closed));
        Pool { _closing, mm, _closed, ended: Ended { witness: witness.clone(), mm: id }, id, busy }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How many pages are at their source.
    pub(crate) fn at_home(&self) -> usize {
        self.witness.pages().at_home()
    }

    /// Asks for callbacks until `done`, far more often than there can be need for. `what` is what
    /// they must not wait for.
    pub(crate) fn poll_until(&self, done: impl Fn() -> bool, what: &str) {
        for _ in 0..1_000 {
            if done() {
                return;
            }
            self.domain.attempt();
        }
        self.witness.ledger().fault(format!("callbacks wait for {what}"));
    }

    /// Asks for callbacks until every page is at home.
    pub(crate) fn poll_home(&self, what: &str) {
        self.poll_until(|| self.at_home() == self.total, what);
    }

    /// Ends a schedule, when the other threads and the mms are gone: brings the last callbacks, and
    /// checks that every page and every head came home. The world stays where it is until then: the
    /// heads, which outlive the mms, refer to the domain.
    pub(crate) fn finish(&self) {
        self.domain.drain();
        let ledger = self.witness.ledger();
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let (home, gone) = (self.at_home(), ledger.heads_gone());
        if home != self.total || gone != heads.len() {
            ledger.fault(format!(
                "{home} of {} pages and {gone} of {} heads came home",
                self.total,
                heads.len()
            ));
        }
        for Place(place, layout) in heads.drain(..) {
            // SAFETY: allocated in `mm` with this layout, and disposed of.
            unsafe { dealloc(place.as_ptr(), layout) };
        }
    }
}
