//! Heads with which something waits for a grace period, and what is called then.

use std::{ffi::c_void, mem, ptr::NonNull};

use ptfrag::{RcuFn, RcuHead};

/// Two words with which something waits for a grace period, for the RCU to use as it likes: `struct rcu_head` of Linux and of
/// liburcu fit. It may hold anything before it is queued.
#[repr(C)]
pub struct Head {
    /// The RCU's, while the head is queued.
    pub words: [*mut c_void; 2],
}

/// What is called after the grace period, once, with the head that was queued. It is left by returning, in no other way.
pub type Func = unsafe extern "C" fn(head: *mut Head);

const _: () = assert!(size_of::<Head>() == size_of::<RcuHead>());
const _: () = assert!(align_of::<Head>() == align_of::<RcuHead>());

/// For C to call.
pub(crate) fn to_c(func: RcuFn) -> Func {
    // SAFETY: both are a function of a pointer, and heads have the same size.
    unsafe { mem::transmute::<RcuFn, Func>(func) }
}

/// For the built-in domain to call.
pub(crate) fn from_c(func: Func) -> RcuFn {
    // SAFETY: as above, and nobody calls it with null.
    unsafe { mem::transmute::<Func, RcuFn>(func) }
}

/// C's head as the built-in domain's.
///
/// # Safety
/// It is the caller's, idle, and stays until its function is called.
pub(crate) unsafe fn idle(head: *mut Head) -> NonNull<RcuHead> {
    let head = NonNull::new(head).expect("ptfrag: NULL is no head").cast::<RcuHead>();
    // C may have left anything there, which is no function.
    // SAFETY: it is the caller's, and has the room.
    unsafe { head.write(RcuHead::new()) };
    head
}
