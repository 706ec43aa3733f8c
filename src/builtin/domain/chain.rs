//! A chain of queued heads that one thread owns.

use core::{mem, ptr, ptr::NonNull};

use crate::rcu_head::RcuHead;

/// Queued heads, linked through their `next` fields and ended by null.
///
/// # Invariants
/// The heads are queued, with a `func` each, and this value is the only way to them.
pub(super) struct Chain(*mut RcuHead);

impl Chain {
    pub(super) const EMPTY: Self = Self(ptr::null_mut());

    /// # Safety
    /// The type's invariants hold for what `first` begins.
    pub(super) unsafe fn from_raw(first: *mut RcuHead) -> Self {
        Self(first)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::EMPTY)
    }

    /// Unlinks the first head. Nothing looks at the head again, so its callback may free it.
    fn pop(&mut self) -> Option<NonNull<RcuHead>> {
        let head = NonNull::new(self.0)?;
        // SAFETY: a queued head is valid, and it is this chain's.
        let queued = unsafe { head.as_ref() };
        // SAFETY: the chain owns the head.
        self.0 = unsafe { queued.next() };
        Some(head)
    }

    /// Takes the first `limit` heads off.
    pub(super) fn split(&mut self, limit: usize) -> Self {
        let first = self.0;
        let mut last = None;
        for _ in 0..limit {
            match self.pop() {
                Some(head) => last = Some(head),
                None => break,
            }
        }
        let Some(last) = last else { return Self::EMPTY };
        // SAFETY: `last` is one of the heads that were just taken, which nobody else can reach.
        let last = unsafe { last.as_ref() };
        // SAFETY: as above.
        unsafe { last.set_next(ptr::null_mut()) };
        Self(first)
    }

    /// Runs the callbacks and returns how many there were.
    ///
    /// # Safety
    /// The grace period of every head is over, or the domain is being torn down and has no readers.
    /// The caller is in no read-side section.
    pub(super) unsafe fn run(mut self) -> usize {
        let mut ran = 0;
        while let Some(head) = self.pop() {
            // SAFETY: a queued head is valid, and nobody else can reach it.
            let queued = unsafe { head.as_ref() };
            // SAFETY: as above.
            let func = unsafe { queued.func() };
            let func = func.expect("a queued head lost its callback: somebody wrote to it");
            // SAFETY: whoever queued the head promised that `func` is sound to call with it once
            // after a grace period, and the caller that it is over.
            unsafe { func(head) };
            ran += 1;
        }
        ran
    }
}
