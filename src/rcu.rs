//! What the crate asks of RCU: read-side sections and an intrusive `call_rcu`.
//!
//! A kernel plugs in its own; programs can take the built-in [`Domain`](crate::Domain).

use core::{
    fmt,
    ptr::{self, NonNull},
};

use crate::sync::{UnsafeCell, const_new};

/// A callback: gets back the head that was queued with it.
pub type RcuFn = unsafe extern "C" fn(NonNull<RcuHead>);

/// Two pointers of memory with which something waits for a grace period: Linux's `rcu_head`.
///
/// All-zero bytes are a valid idle head. While it is queued, both fields belong to the RCU
/// implementation, which is free to give them another meaning (a foreign `rcu_head` of the same
/// size can lie in their place).
#[repr(C)]
pub struct RcuHead {
    next: UnsafeCell<*mut RcuHead>,
    func: UnsafeCell<Option<RcuFn>>,
}

// SAFETY: the fields are reached only through unsafe functions whose callers own the head.
unsafe impl Send for RcuHead {}
// SAFETY: as above.
unsafe impl Sync for RcuHead {}

impl RcuHead {
    const_new! {
        /// An idle head.
        pub fn new() -> Self {
            Self { next: UnsafeCell::new(ptr::null_mut()), func: UnsafeCell::new(None) }
        }
    }

    /// The link to the next head of a queue.
    ///
    /// # Safety
    /// The head is queued, and the caller is the RCU implementation and owns the queue.
    #[inline]
    pub unsafe fn next(&self) -> *mut RcuHead {
        // SAFETY: the queue's owner has the head to itself.
        self.next.with(|next| unsafe { *next })
    }

    /// Links the head in front of `next`.
    ///
    /// # Safety
    /// As for [`next`](Self::next).
    #[inline]
    pub unsafe fn set_next(&self, next: *mut RcuHead) {
        // SAFETY: the queue's owner has the head to itself.
        self.next.with_mut(|slot| unsafe { *slot = next });
    }

    /// The callback that [`set_func`](Self::set_func) stored.
    ///
    /// # Safety
    /// As for [`next`](Self::next).
    #[inline]
    pub unsafe fn func(&self) -> Option<RcuFn> {
        // SAFETY: the queue's owner has the head to itself.
        self.func.with(|func| unsafe { *func })
    }

    /// Stores the callback.
    ///
    /// # Safety
    /// As for [`next`](Self::next).
    #[inline]
    pub unsafe fn set_func(&self, func: RcuFn) {
        // SAFETY: the queue's owner has the head to itself.
        self.func.with_mut(|slot| unsafe { *slot = Some(func) });
    }
}

impl Default for RcuHead {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RcuHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields may be the RCU implementation's at this moment.
        f.debug_struct("RcuHead").finish_non_exhaustive()
    }
}

/// A handle to an RCU implementation: a zero-sized type, or a reference to a domain.
///
/// It is `Copy` so that nobody has to reach through memory which the very callback that is being
/// queued may free.
///
/// # Safety
/// Memory safety of everything in this crate rests on the implementation:
/// - `func` is called once for each [`call`](Self::call), after every guard of this domain that
///   existed when `call` was entered has been dropped. Everything that happened before `call`
///   happens before `func`, and so does everything that those guards' owners did inside them.
/// - A guard that was created later, and that the grace period therefore need not wait for, sees
///   everything that happened before `call`.
/// - `func` never runs inside `call` nor inside [`read`](Self::read), nor when a guard that `read`
///   returned is dropped: this crate holds the caller's locks there, and its own. It may run on any
///   thread, in any order, may lock, create guards and queue any head, its own included.
/// - The head is not touched after `func` has started, and the tail of `call` touches neither the
///   head nor anything that `func` may free.
/// - `call` does not allocate, does not wait and does not fail; threads that never came near the
///   domain, and threads whose thread-locals are gone, can call it.
/// - Where the handle borrows a domain, nothing borrows it any more while heads are still queued
///   and the mms and tokens are gone. The domain does not move then, and before it is gone it runs
///   what is queued and what that queues, without a unique reference to itself: callbacks use the
///   handle.
/// - A head that was queued can be run by any thread: it does not depend on the thread that
///   queued it ever coming back.
pub unsafe trait Rcu: Copy + Send + Sync {
    /// A read-side section, left when dropped. Sections nest. It must not be `Send`. A guard that
    /// is leaked holds up the grace periods for ever, also past its thread's end.
    type Guard;

    /// Enters a read-side section. It does not wait for anybody.
    fn read(self) -> Self::Guard;

    /// Whether `guard` holds up the grace periods of this domain.
    fn covers(self, guard: &Self::Guard) -> bool;

    /// Has `func(head)` called after a grace period.
    ///
    /// # Safety
    /// `head` is valid and queued nowhere, nobody else touches it until `func` is called, and
    /// `func` is sound to call with it then, once, on any thread.
    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn);
}
