//! The hooks of the scenes' mms.

use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use ptfrag::{AllocError, Hooks};

use super::{below, ledger::Ledger, pool::Pool};

/// Enters what the crate tells its hooks. It is dropped with the mm's head.
pub(crate) struct Watch {
    pub(super) ledger: Arc<Ledger>,
    pub(super) mm: usize,
    /// Refuses a page now and then.
    pub(super) picky: bool,
    pub(super) busy: Arc<BusyCell>,
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
        let busy = *self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Busy { mm, work }) = busy {
            // SAFETY: the mm is there while the cell says so.
            unsafe { work(mm) };
        }
        // Only now: whoever got the fragment meanwhile would have got it too early.
        self.ledger.reclaim(frag);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ledger.head_gone(self.mm);
    }
}

/// Tells an mm's hook what to do in that very mm, if it is to do anything.
#[derive(Default)]
pub(super) struct BusyCell(Mutex<Option<Busy>>);

/// An mm, and what a hook does there.
#[derive(Clone, Copy)]
struct Busy {
    mm: NonNull<()>,
    work: unsafe fn(NonNull<()>),
}

// SAFETY: an mm is shared between threads, and so is a pointer to it.
unsafe impl Send for Busy {}

/// As long as this is there, the mm's hook works too.
pub(crate) struct KeptBusy<'p, 'a, const N: usize>(&'p Pool<'a, N>);

impl<'a, const N: usize> Pool<'a, N> {
    /// Has the `reclaim` hook take, retire and give back in this very mm. Ends when the other
    /// threads have.
    pub(crate) fn keep_busy(&self) -> KeptBusy<'_, 'a, N> {
        /// # Safety
        /// It is a `Pool<'_, N>`.
        unsafe fn work<const N: usize>(mm: NonNull<()>) {
            // SAFETY: passed on to the caller.
            unsafe { mm.cast::<Pool<'_, N>>().as_ref() }.work_in_hook();
        }
        self.keep(work::<N>)
    }

    /// Has the `reclaim` hook panic now and then, which ends the process.
    pub(crate) fn keep_fatal(&self) -> KeptBusy<'_, 'a, N> {
        /// # Safety
        /// It is a `Pool<'_, N>`.
        unsafe fn work<const N: usize>(mm: NonNull<()>) {
            // SAFETY: passed on to the caller.
            let mm = unsafe { mm.cast::<Pool<'_, N>>().as_ref() };
            let (pages, retired) = (mm.mm.pages(), mm.retired());
            assert!(below(500) != 0, "fatal hook: {pages} pages, {retired} retired");
        }
        self.keep(work::<N>)
    }

    fn keep(&self, work: unsafe fn(NonNull<()>)) -> KeptBusy<'_, 'a, N> {
        let busy = Busy { mm: NonNull::from(self).cast(), work };
        *self.busy.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(busy);
        KeptBusy(self)
    }

    /// What comes back is retired again only now and then, so that it ends.
    fn work_in_hook(&self) {
        let Ok(held) = self.alloc() else { return };
        if below(3) == 0 { held.retire() } else { held.give_back() }
    }
}

impl<const N: usize> Drop for KeptBusy<'_, '_, N> {
    fn drop(&mut self) {
        *self.0.busy.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
