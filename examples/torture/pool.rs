//! Where an updater has its elements, and readers find them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ptfrag::Domain;

use crate::element::{Element, Find};

const ELEMENTS: usize = 64;

/// One slot, and elements to put there in turn.
pub(crate) struct Pool {
    /// Which element is published.
    slot: AtomicUsize,
    elements: Box<[Element]>,
    owned: AtomicBool,
}

impl Pool {
    pub(crate) fn new(domain: &Domain) -> Self {
        let elements: Box<[_]> = (0..ELEMENTS).map(|_| Element::new(domain)).collect();
        elements[0].revive();
        Self { slot: AtomicUsize::new(0), elements, owned: AtomicBool::new(false) }
    }

    /// What is published. For readers in a section.
    #[inline]
    pub(crate) fn find(&self) -> Find<'_> {
        // Acquire: pairs with `Owner::replace`.
        Find::new(&self.elements[self.slot.load(Ordering::Acquire)])
    }

    /// The right to change what is published, unless somebody has it. Also for signal handlers.
    pub(crate) fn try_own(&self) -> Option<Owner<'_>> {
        // Acquire: pairs with the drop of `Owner`.
        // Made only then: an owner that is dropped gives the right up.
        (!self.owned.swap(true, Ordering::Acquire)).then(|| Owner { pool: self, next: 0 })
    }

    /// The same, where nobody can have it.
    pub(crate) fn own(&self) -> Owner<'_> {
        self.try_own().expect("two updaters of one pool")
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.elements.iter().all(Element::is_settled)
    }
}

/// Whoever may change what is published in a pool, alone.
pub(crate) struct Owner<'a> {
    pool: &'a Pool,
    next: usize,
}

impl<'a> Owner<'a> {
    /// Puts a new element in the place of the old one, and returns that: unlinked, and not queued. `None` if all
    /// others wait for grace periods.
    pub(crate) fn replace(&mut self) -> Option<&'a Element> {
        let elements = &self.pool.elements;
        let mut all = (self.next..self.next + ELEMENTS).map(|at| at % ELEMENTS);
        let at = all.find(|at| elements[*at].is_free())?;
        self.next = at + 1;
        elements[at].revive();
        let old = &elements[self.pool.slot.load(Ordering::Relaxed)];
        // Release: pairs with `find`. A store and no exchange: that would be a full fence on many processors, and hide
        // the lack of others.
        self.pool.slot.store(at, Ordering::Release);
        old.grow_older();
        Some(old)
    }
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        // Release: pairs with `try_own`.
        self.pool.owned.store(false, Ordering::Release);
    }
}
