//! Handles.

use std::ptr::{self, NonNull};

use crate::{
    any::AnyLocal,
    mm::{Mm, mm, some},
};

/// A handle of an mm, for a thread that allocates and retires much: it hands out what it was given back, without the pages that
/// others use. One thread uses it at a time. It may outlive its mm.
pub struct Local(Box<dyn AnyLocal>);

/// # Safety
/// The handle is one that was not freed, and nobody else uses it.
unsafe fn local<'a>(local: *mut Local) -> &'a mut dyn AnyLocal {
    // SAFETY: passed on to the caller.
    unsafe { &mut *local }.0.as_mut()
}

/// A handle of an mm. It allocates, about 8 KiB. What it may hold is up to 512 fragments, whose pages do not go home.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_new(pool: *const Mm) -> *mut Local {
    // SAFETY: the caller's promise.
    Box::into_raw(Box::new(Local(unsafe { mm(pool) }.local())))
}

/// Lets a handle go, and what it holds. NULL is allowed.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_free(local: *mut Local) {
    if !local.is_null() {
        // SAFETY: it came from `ptfrag_local_new`, and is let go once.
        drop(unsafe { Box::from_raw(local) });
    }
}

/// A fragment, as ptfrag_alloc has it, but for what other handles hold.
///
/// Context: as ptfrag_alloc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_alloc(handle: *mut Local) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { local(handle) }.alloc().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Has a fragment of the handle's mm freed after a grace period, as ptfrag_retire does. Now and then it retires up to several
/// hundred in one go. It may try the mm's lock, and never waits for it. Time alone moves nothing on: only what the handle is
/// used for does, or to flush it.
///
/// Context: wherever the RCU's call may be called, but not a signal handler that may have interrupted the handle's user.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_retire(handle: *mut Local, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let local = unsafe { local(handle) };
    // SAFETY: as above.
    unsafe { local.retire(frag) };
}

/// Gives a fragment of the handle's mm back that no reader has seen, to be the next that the handle hands out.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_give_back(handle: *mut Local, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let local = unsafe { local(handle) };
    // SAFETY: as above.
    unsafe { local.give_back(frag) };
}

/// Lets go of all that a handle holds, as one that is going to be idle does; it stays usable.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_local_flush(handle: *mut Local) {
    // SAFETY: the caller's promise.
    unsafe { local(handle) }.flush();
}
