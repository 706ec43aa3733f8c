//! Freeing without the mm.

use crate::{
    any::AnyOrigin,
    mm::{Mm, mm, some},
};

/// Where an mm's fragments come from: what it takes to free them when the mm is gone. It serves for all mms of the same geometry
/// that were made of the same region by ptfrag_mm_new, or of the same parts by ptfrag_mm_new_with; not for one as for the other.
pub struct Origin(Box<dyn AnyOrigin>);

/// # Safety
/// It is one that was not freed.
unsafe fn origin<'a>(origin: *const Origin) -> &'a dyn AnyOrigin {
    // SAFETY: passed on to the caller.
    unsafe { &*origin }.0.as_ref()
}

/// The origin of an mm's fragments. It stays when the mm goes, and keeps the region mapped; parts of the caller's stay until it
/// is freed. It allocates.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_origin_new(pool: *const Mm) -> *mut Origin {
    // SAFETY: the caller's promise.
    Box::into_raw(Box::new(Origin(unsafe { mm(pool) }.origin())))
}

/// Lets an origin go. NULL is allowed.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_origin_free(origin: *mut Origin) {
    if !origin.is_null() {
        // SAFETY: it came from `ptfrag_origin_new`, and is let go once.
        drop(unsafe { Box::from_raw(origin) });
    }
}

/// ptfrag_retire, whether the fragment's mm is there or not.
///
/// Context: as ptfrag_retire.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_origin_retire(from: *const Origin, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let origin = unsafe { origin(from) };
    // SAFETY: as above.
    unsafe { origin.retire(frag) };
}

/// ptfrag_give_back, whether the fragment's mm is there or not.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_origin_give_back(from: *const Origin, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let origin = unsafe { origin(from) };
    // SAFETY: as above.
    unsafe { origin.give_back(frag) };
}
