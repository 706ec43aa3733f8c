//! A chain of queued heads that one thread owns.

use core::{mem, ptr, ptr::NonNull};

use crate::rcu_head::RcuHead;

/// Queued heads, linked through their `next` fields and ended by null.
///
/// # Invariants
/// `len` heads from `first` to `last`, both null if there are none. They are queued, with a `func`
/// each, and this value is the only way to them.
pub(super) struct Chain {
    first: *mut RcuHead,
    last: *mut RcuHead,
    len: usize,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { first: ptr::null_mut(), last: ptr::null_mut(), len: 0 };

    /// Goes along the whole chain, to its end.
    ///
    /// # Safety
    /// The heads that `first` begins are queued, with a `func` each; what their queuers did happens before
    /// this, and the caller has the only way to them.
    pub(super) unsafe fn from_raw(first: *mut RcuHead) -> Self {
        let (mut last, mut len) = (ptr::null_mut(), 0);
        let mut head = first;
        while !head.is_null() {
            last = head;
            len += 1;
            // SAFETY: a queued head is valid.
            let queued = unsafe { &*head };
            // SAFETY: the caller owns the heads.
            head = unsafe { queued.next() };
        }
        Self { first, last, len }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many heads there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::EMPTY)
    }

    /// Puts `other` behind what is there.
    pub(super) fn append(&mut self, other: Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other;
            return;
        }
        // SAFETY: by the invariant, a queued head, which is valid.
        let last = unsafe { &*self.last };
        // SAFETY: the chain owns the head.
        unsafe { last.set_next(other.first) };
        self.last = other.last;
        self.len += other.len;
    }

    /// Unlinks the first head. Nothing looks at the head again, so its callback may free it.
    fn pop(&mut self) -> Option<NonNull<RcuHead>> {
        let head = NonNull::new(self.first)?;
        // SAFETY: a queued head is valid, and it is this chain's.
        let queued = unsafe { head.as_ref() };
        // SAFETY: the chain owns the head.
        self.first = unsafe { queued.next() };
        self.len -= 1;
        Some(head)
    }

    /// Takes the first `limit` heads off.
    pub(super) fn split(&mut self, limit: usize) -> Self {
        if limit >= self.len {
            return self.take();
        }
        let first = self.first;
        let mut last = None;
        for _ in 0..limit {
            last = self.pop();
        }
        let Some(last) = last else { return Self::EMPTY };
        // SAFETY: `last` is one of the heads that were just taken, which nobody else can reach.
        let end = unsafe { last.as_ref() };
        // SAFETY: as above.
        unsafe { end.set_next(ptr::null_mut()) };
        Self { first, last: last.as_ptr(), len: limit }
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
