//! Mms.

use std::ptr::{self, NonNull};

use crate::{
    builtin::{Domain, Region},
    geometry::AnyMm,
    own::{Parts, own},
};

/// One pool of pages, each split into fragments.
pub struct Mm(Box<dyn AnyMm>);

fn boxed(mm: Option<Box<dyn AnyMm>>) -> *mut Mm {
    mm.map_or(ptr::null_mut(), |mm| Box::into_raw(Box::new(Mm(mm))))
}

/// # Safety
/// The mm is one that was not freed.
unsafe fn mm<'a>(mm: *const Mm) -> &'a dyn AnyMm {
    // SAFETY: passed on to the caller.
    unsafe { &*mm }.0.as_ref()
}

/// A pointer of C's, which may not be NULL.
fn some(frag: *mut u8) -> NonNull<u8> {
    NonNull::new(frag).expect("ptfrag: NULL is no fragment")
}

/// An mm of a domain that draws on a region: 16, 8, 4 or 2 fragments to a page; NULL for any other number. The domain stays
/// until the mm is freed and everything that was allocated from it is, and the callbacks have run. From any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_new(
    domain: *const Domain,
    region: *const Region,
    fragments: usize,
) -> *mut Mm {
    // SAFETY: the caller's promise, here and below.
    let domain: &'static Domain = unsafe { &*domain };
    // SAFETY: as above.
    let region = unsafe { &*region };
    boxed(region.0.mm(&domain.0, fragments))
}

/// An mm of the caller's own parts, which stay until its last page is home: with pages of 4096 or 65536 bytes, and 16, 8, 4
/// or 2 fragments to a page; NULL for anything else. From any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_new_with(parts: *const Parts, fragments: usize) -> *mut Mm {
    // SAFETY: the caller's promise.
    let parts: &'static Parts = unsafe { &*parts };
    boxed(own(parts, fragments))
}

/// Closes the mm and lets it go: never waits. What was allocated from it stays until it is freed. NULL is allowed. Not in a
/// signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_free(mm: *mut Mm) {
    if !mm.is_null() {
        // SAFETY: it came from one of the functions above, and is let go once.
        drop(unsafe { Box::from_raw(mm) });
    }
}

/// Closes the mm: it hands out nothing from its list any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_close(pool: *const Mm) {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.close();
}

/// A fragment, aligned to its size, or NULL. Its bytes are what the last user left, or the reclaim hook. It takes the mm's
/// lock now and then, and asks the page source, so it may sleep if that does; not in a callback that interrupts a holder of
/// that lock, and not in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_alloc(pool: *const Mm) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.alloc().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Has a fragment freed after a grace period: no reader finds it any more. One exchange and at most one call of the RCU's;
/// never the lock, never an allocation. From wherever the RCU's call may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_retire(pool: *const Mm, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let mm = unsafe { mm(pool) };
    // SAFETY: as above.
    unsafe { mm.retire(frag) };
}

/// Frees a fragment at once that no reader has seen. It may take the mm's lock; from wherever ptfrag_alloc may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_give_back(pool: *const Mm, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let mm = unsafe { mm(pool) };
    // SAFETY: as above.
    unsafe { mm.give_back(frag) };
}

/// Sends home the empty pages that the mm keeps, and says how many there were. From wherever ptfrag_alloc may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_shrink(pool: *const Mm) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.shrink()
}

/// Pages that the mm has. From anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_pages(pool: *const Mm) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.pages()
}
