//! The built-in parts: domains, sections and regions.

use std::{ffi::c_void, mem, ptr};

use ptfrag::{Guard, OwnedDomain};

use crate::geometry::AnyRegion;

/// An RCU domain: readers enter its sections, and what is retired waits for them.
pub struct Domain(pub(crate) OwnedDomain);

/// A read-side section of one thread.
#[repr(C)]
pub struct Section {
    /// Not for C to look into.
    pub words: [*mut c_void; 2],
}

const _: () = assert!(size_of::<Section>() == size_of::<Guard<'static>>());

/// Pages of 4096 or 65536 bytes from the system.
pub struct Region(pub(crate) AnyRegion);

/// A new domain; never NULL. From any thread, not in a signal handler.
#[unsafe(no_mangle)]
pub extern "C" fn ptfrag_domain_new() -> *mut Domain {
    Box::into_raw(Box::new(Domain(OwnedDomain::new())))
}

/// Ends a domain: runs what waits, and what that calls for. NULL is allowed. No mm of it exists any more, all that was
/// allocated from them is freed, and no thread is in a section of it. Not in a section or a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_domain_free(domain: *mut Domain) {
    if !domain.is_null() {
        // SAFETY: it came from `ptfrag_domain_new`, and nobody uses it any more.
        drop(unsafe { Box::from_raw(domain) });
    }
}

/// Enters a read-side section of the calling thread, to be left by ptfrag_read_unlock on the same thread, in any order with
/// others. Sections nest. It never waits. From any thread; in signal handlers only where the thread has entered a
/// section of this domain before, as the first one allocates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_read_lock(domain: *const Domain) -> Section {
    // SAFETY: the domain outlives its sections, by the caller's promise.
    let domain: &'static Domain = unsafe { &*domain };
    // SAFETY: a guard has the size of two words, which nobody looks into.
    unsafe { mem::transmute::<Guard<'static>, Section>(domain.0.read()) }
}

/// Leaves a section. It may run callbacks if it was the thread's outermost one, so not under a lock that they take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_read_unlock(section: Section) {
    // SAFETY: it came from `ptfrag_read_lock` on this thread, and is left once.
    drop(unsafe { mem::transmute::<Section, Guard<'static>>(section) });
}

/// Moves grace periods on and runs callbacks whose grace period is over; says how many. It never waits for readers. Not in a
/// section, a callback or a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_poll(domain: *const Domain) -> usize {
    // SAFETY: the caller's promise.
    unsafe { &*domain }.0.poll()
}

/// Waits until all callbacks have run that were called for before. Not in a section, a callback or a signal handler, nor
/// under a lock that readers take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_barrier(domain: *const Domain) {
    // SAFETY: the caller's promise.
    unsafe { &*domain }.0.barrier();
}

/// Reserves address space for so many pages of `page_size` bytes, 4096 or 65536; NULL when the system has none, or there is
/// no such page size. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ptfrag_region_new(page_size: usize, pages: usize) -> *mut Region {
    AnyRegion::new(page_size, pages)
        .map_or(ptr::null_mut(), |region| Box::into_raw(Box::new(Region(region))))
}

/// Lets the handle of a region go. It is unmapped when its last mm is gone and everything that was allocated is freed. NULL
/// is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_region_free(region: *mut Region) {
    if !region.is_null() {
        // SAFETY: it came from `ptfrag_region_new`, and is let go once.
        drop(unsafe { Box::from_raw(region) });
    }
}

/// Pages that are out. From anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_region_pages_out(region: *const Region) -> usize {
    // SAFETY: the caller's promise.
    unsafe { &*region }.0.pages_out()
}
