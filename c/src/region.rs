//! The built-in pages.

use std::ptr;

use crate::geometry::AnyRegion;

/// Pages of 4096 or 65536 bytes from the system.
pub struct Region(pub(crate) AnyRegion);

/// Reserves address space for so many pages of `page_size` bytes, 4096 or 65536; NULL when the system has none, or there is
/// no such page size, or no pages are asked for. It allocates.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub extern "C" fn ptfrag_region_new(page_size: usize, pages: usize) -> *mut Region {
    AnyRegion::new(page_size, pages)
        .map_or(ptr::null_mut(), |region| Box::into_raw(Box::new(Region(region))))
}

/// Lets the handle of a region go. It is unmapped when its last mm and origin are gone and everything that was allocated is
/// freed, possibly here or in a callback. NULL is allowed.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_region_free(region: *mut Region) {
    if !region.is_null() {
        // SAFETY: it came from `ptfrag_region_new`, and is let go once.
        drop(unsafe { Box::from_raw(region) });
    }
}

/// Pages that are out. It takes the region's lock for a few stores.
///
/// Context: sections, callbacks, under locks; not a signal handler, which may have interrupted the holder of that lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_region_pages_out(region: *const Region) -> usize {
    // SAFETY: the caller's promise.
    unsafe { &*region }.0.pages_out()
}
