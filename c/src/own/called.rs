//! Calling C.

use std::{mem, process};

/// Calls functions of the table, which return. An exception, or the end of the thread where the system unwinds its stack for
/// that, would go on through code that has locks and sections to leave: it ends the process.
#[inline(always)]
pub(super) fn called<R>(call: impl FnOnce() -> R) -> R {
    let left = Left;
    let result = call();
    mem::forget(left);
    result
}

struct Left;

impl Drop for Left {
    #[cold]
    fn drop(&mut self) {
        eprintln!(
            "ptfrag: a function of the parts was left by an exception, or by the end of its thread"
        );
        process::abort();
    }
}
