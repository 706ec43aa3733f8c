//! A full fence in every thread of the process: Linux's `membarrier`, private and expedited.
//!
//! The system interrupts the threads that run, and those that do not make a fence when they are switched to. So every
//! thread makes one somewhere between two of its accesses: after what came before the call, and before what comes
//! after it.

use core::sync::atomic::compiler_fence;

use super::Ordering;
#[cfg(all(target_os = "linux", not(miri)))]
use super::fence;

/// `MEMBARRIER_CMD_PRIVATE_EXPEDITED`, membarrier(2).
#[cfg(all(target_os = "linux", not(miri)))]
const FENCE: libc::c_int = 1 << 3;
/// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED`.
#[cfg(all(target_os = "linux", not(miri)))]
const REGISTER: libc::c_int = 1 << 4;

#[cfg(all(target_os = "linux", not(miri)))]
fn membarrier(command: libc::c_int) -> bool {
    let no_flags: libc::c_uint = 0;
    // SAFETY: the call takes two numbers, and touches nothing.
    unsafe { libc::syscall(libc::SYS_membarrier, command, no_flags) == 0 }
}

/// Says that the process will call [`fence_everywhere`]. Whether it may: not on other systems, before Linux 4.14, or
/// where a filter forbids it.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn may_fence_everywhere() -> bool {
    membarrier(REGISTER)
}

/// A full fence in every thread. Whether there was one.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn fence_everywhere() -> bool {
    // SeqCst: a process of one thread, or on one processor, is in and out of the system without a fence.
    fence(Ordering::SeqCst);
    let fenced = membarrier(FENCE);
    fence(Ordering::SeqCst);
    fenced
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn may_fence_everywhere() -> bool {
    false
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn fence_everywhere() -> bool {
    false
}

/// Where a thread relies on the others' fences in the place of its own.
#[inline(always)]
pub(crate) fn light_fence() {
    compiler_fence(Ordering::SeqCst);
}

/// A place where others' fences make a difference, for the checkers to try.
#[inline(always)]
pub(crate) fn between() {}
