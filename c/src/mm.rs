//! Mms.

use std::ptr::{self, NonNull};

use crate::{
    any::AnyMm,
    domain::{Domain, domain},
    own::{Parts, own},
    region::Region,
};

/// One pool of pages, each split into fragments.
pub struct Mm(Box<dyn AnyMm>);

fn boxed(mm: Option<Box<dyn AnyMm>>) -> *mut Mm {
    mm.map_or(ptr::null_mut(), |mm| Box::into_raw(Box::new(Mm(mm))))
}

/// # Safety
/// The mm is one that was not freed.
pub(crate) unsafe fn mm<'a>(mm: *const Mm) -> &'a dyn AnyMm {
    // SAFETY: passed on to the caller.
    unsafe { &*mm }.0.as_ref()
}

/// Puts what `change` makes of an mm in its place; NULL stays NULL.
///
/// # Safety
/// It is NULL, or an mm that was not freed and that nobody else uses.
unsafe fn change(mm: *mut Mm, change: impl FnOnce(Box<dyn AnyMm>) -> Box<dyn AnyMm>) -> *mut Mm {
    if mm.is_null() {
        return mm;
    }
    // SAFETY: it came from `boxed`, and is the caller's.
    let Mm(inner) = *unsafe { Box::from_raw(mm) };
    boxed(Some(change(inner)))
}

/// A pointer of C's, which may not be NULL.
pub(crate) fn some(frag: *mut u8) -> NonNull<u8> {
    NonNull::new(frag).expect("ptfrag: NULL is no fragment")
}

/// An mm of a domain that draws on a region: 16, 8, 4 or 2 fragments to a page; NULL for any other number. The domain stays
/// until the mm is freed, everything that was allocated from it is, and the callbacks have run. It allocates.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_new(
    domain: *const Domain,
    region: *const Region,
    fragments: usize,
) -> *mut Mm {
    // SAFETY: the caller's promise, here and below.
    let domain: &'static ptfrag::Domain = unsafe { self::domain(domain) };
    // SAFETY: as above.
    let region = unsafe { &*region };
    boxed(region.0.mm(domain, fragments))
}

/// An mm of the caller's own parts, with 16, 8, 4 or 2 fragments to a page; NULL for any other number, and for parts that are
/// not whole. The parts stay as said there. It allocates, and calls no function of the table.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_new_with(parts: *const Parts, fragments: usize) -> *mut Mm {
    // SAFETY: the caller's promise.
    let parts: &'static Parts = unsafe { &*parts };
    boxed(own(parts, fragments))
}

/// Has a new mm keep so many pages that are empty, instead of none: an mm that is emptied and filled again and again draws a page
/// each time otherwise. The mm is one that nothing was done with but this and the next one; `mm` is not used any more, and what
/// is returned stands in its place. NULL stays NULL.
///
/// Context: as ptfrag_mm_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_keeping(mm: *mut Mm, pages: u32) -> *mut Mm {
    // SAFETY: the caller's promise.
    unsafe { change(mm, |mm| mm.keeping(pages)) }
}

/// Gives a new mm so many lanes, a power of two up to 128: lists of pages with a lock each, so that threads that allocate at the
/// same time take from different pages. Else as ptfrag_mm_keeping. With an RCU of the caller's own its `lane` says whose is whose.
///
/// Context: as ptfrag_mm_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_lanes(mm: *mut Mm, count: usize) -> *mut Mm {
    // SAFETY: the caller's promise.
    unsafe { change(mm, |mm| mm.lanes(count)) }
}

/// Closes the mm and lets it go. What was allocated from it stays, and its pages go home as it is freed: through a handle, or
/// through an origin that was made of the mm before. It takes the mm's locks, and sends home what is empty; it waits neither for
/// fragments nor for grace periods. No other thread uses the mm any more. NULL is allowed.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_free(mm: *mut Mm) {
    if !mm.is_null() {
        // SAFETY: it came from one of the functions above, and is let go once.
        drop(unsafe { Box::from_raw(mm) });
    }
}

/// Closes the mm: it hands out nothing any more, but for what handles hold. Fragments are freed as before, and pages go home as
/// soon as theirs have. It takes the mm's locks, and sends home what is empty. Twice does no harm.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_close(pool: *const Mm) {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.close();
}

/// A fragment, aligned to its size, or NULL when no page is to be had or the mm is closed. Its bytes are what the last user left,
/// or the reclaim hook, or zeros where the parts say `zeroed`. It enters a section of the RCU, takes the mm's lock now and then,
/// and asks for a page outside of both, so it may sleep if page_get or page_in does. To try again brings nothing back: outside
/// of sections ptfrag_poll or ptfrag_barrier may.
///
/// Context: sections, and under locks that page_get and page_in do not take; not a signal handler. In callbacks unless one can
/// interrupt a holder of the mm's lock on its own processor: callbacks of the built-in domain never do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_alloc(pool: *const Mm) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.alloc().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Has a fragment freed after a grace period: no reader finds it any more. One exchange and at most one call of the RCU's;
/// never the lock, never an allocation.
///
/// Context: wherever the RCU's call may be called; with the built-in domain that is anywhere, as for ptfrag_call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_retire(pool: *const Mm, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let mm = unsafe { mm(pool) };
    // SAFETY: as above.
    unsafe { mm.retire(frag) };
}

/// Frees a fragment at once that no reader has seen. It may take the mm's lock, and send a page home: page_out and page_put.
///
/// Context: sections, and under locks that page_out and page_put do not take; not a signal handler. In callbacks where ptfrag_alloc
/// may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_give_back(pool: *const Mm, frag: *mut u8) {
    let frag = some(frag);
    // SAFETY: the caller's promise, here and below.
    let mm = unsafe { mm(pool) };
    // SAFETY: as above.
    unsafe { mm.give_back(frag) };
}

/// Sends home the empty pages that the mm keeps, and says how many there were.
///
/// Context: as ptfrag_give_back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_shrink(pool: *const Mm) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.shrink()
}

/// Pages that the mm has, those included that only wait for a grace period. One load.
///
/// Context: anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_mm_pages(pool: *const Mm) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mm(pool) }.pages()
}
