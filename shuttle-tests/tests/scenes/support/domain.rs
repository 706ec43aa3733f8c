//! The RCU of a scene: the model, or the crate's own domain.

use std::{marker::PhantomData, ptr::NonNull, sync::Arc};

use ptfrag::{OwnedDomain, Rcu, RcuFn, RcuHead};

use super::{below, ledger::Ledger, model::Model, witness::Compare};

/// A domain; its handle is a reference. The ledger hears of every section: of its beginning when
/// the domain has been told, and of its end before, so that the ledger calls none open that the
/// domain need not wait for.
pub(crate) struct Domain {
    ledger: Arc<Ledger>,
    pages: Arc<dyn Compare>,
    kind: Kind,
}

enum Kind {
    Model(Model),
    Real(OwnedDomain),
}

impl Domain {
    pub(super) fn model(ledger: Arc<Ledger>, pages: Arc<dyn Compare>) -> Self {
        Self { kind: Kind::Model(Model::new(ledger.clone())), ledger, pages }
    }

    pub(super) fn real(ledger: Arc<Ledger>, pages: Arc<dyn Compare>) -> Self {
        Self { kind: Kind::Real(OwnedDomain::new()), ledger, pages }
    }

    /// Enters a section.
    pub(crate) fn read_section(&self) -> Guard<'_> {
        self.read()
    }

    /// Tries to end a grace period: runs callbacks whose readers have all left, if there are any.
    /// Never waits.
    pub(crate) fn attempt(&self) -> bool {
        self.outside("callbacks attempted");
        let ran = match &self.kind {
            Kind::Model(model) => model.attempt(),
            Kind::Real(real) => self.in_callbacks(|| real.poll()) != 0,
        };
        if ran {
            self.pages.compare(None);
        }
        ran
    }

    /// Waits until the sections that are open now have ended.
    pub(crate) fn synchronize(&self) {
        self.outside("a grace period awaited");
        match &self.kind {
            Kind::Model(model) => model.synchronize(),
            Kind::Real(real) => real.synchronize(),
        }
        self.pages.compare(None);
    }

    /// Runs callbacks until none is queued, when no other thread is left.
    pub(crate) fn drain(&self) {
        match &self.kind {
            Kind::Model(model) => model.drain(),
            // What callbacks queue comes to this thread's queue, where some polls find it.
            Kind::Real(real) => self.in_callbacks(|| {
                let mut ran = 1;
                while ran != 0 {
                    real.barrier();
                    ran = (0..4).map(|_| real.poll()).sum();
                }
            }),
        }
        self.pages.compare(None);
    }

    fn outside(&self, what: &str) {
        if !self.ledger.is_outside() {
            self.ledger.fault(format!("{what} inside a section or a callback"));
        }
    }

    /// Runs what runs callbacks, so that a fault in one of them waits for its end.
    fn in_callbacks<R>(&self, run: impl FnOnce() -> R) -> R {
        self.ledger.callback(true);
        let result = run();
        self.ledger.callback(false);
        result
    }
}

/// A section, until it is dropped.
pub(crate) struct Guard<'a> {
    domain: &'a Domain,
    /// Dropped after the ledger has been told.
    _section: Option<ptfrag::Section<'a>>,
    /// Sections belong to their thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Kind::Model(model) = &self.domain.kind {
            model.step();
        }
        self.domain.ledger.section_ends();
    }
}

// SAFETY: a domain stays where it is until the world ends, after the last callback. The model runs
// a callback once, in `attempt`, after the sections that were open when it was queued have ended,
// on any thread, inside none of the functions below; under shuttle every step happens before the
// next. It allocates when queueing, which the scenes do not look at. Who gets a ticket again has all
// that was queued under it wait for the sections that are open then. The crate's own domain keeps its
// promise.
unsafe impl<'a> Rcu for &'a Domain {
    type Guard = Guard<'a>;

    fn read(self) -> Guard<'a> {
        let section = match &self.kind {
            Kind::Model(model) => {
                model.step();
                None
            }
            Kind::Real(real) => Some(Rcu::read(&**real)),
        };
        self.ledger.section_begins();
        Guard { domain: self, _section: section, _not_send: PhantomData }
    }

    fn covers(self, guard: &Guard<'a>) -> bool {
        std::ptr::eq(self, guard.domain)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        match &self.kind {
            Kind::Model(model) => model.call(head, func),
            // SAFETY: passed on to the caller.
            Kind::Real(real) => unsafe { Rcu::call(&**real, head, func) },
        }
    }

    /// Any: a thread may move to another processor at any time.
    fn lane(self, _: &Guard<'a>) -> usize {
        below(8)
    }

    fn ticket(self) -> u64 {
        match &self.kind {
            Kind::Model(model) => model.ticket(),
            Kind::Real(real) => (&**real).ticket(),
        }
    }

    fn gave(self, ticket: u64) -> bool {
        match &self.kind {
            Kind::Model(_) => true,
            Kind::Real(real) => (&**real).gave(ticket),
        }
    }

    fn has_elapsed(self, ticket: u64) -> bool {
        match &self.kind {
            Kind::Model(model) => model.has_elapsed(ticket),
            Kind::Real(real) => (&**real).has_elapsed(ticket),
        }
    }
}
