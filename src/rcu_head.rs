//! The intrusive head with which something waits for a grace period.

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
