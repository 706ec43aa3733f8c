//! The ways back: retire, give back, and the end of a grace period.
//!
//! None of them allocates or fails. They are functions of a page and not methods of the mm's head,
//! because the head may be gone the moment that the page's word is changed; each says what keeps it
//! until when.

use core::{convert::Infallible, ptr::NonNull};

use super::{
    apply::{Wait, apply},
    head::{MmHead, Pin, queue},
    misuse::not_used,
};
use crate::{
    embed::{Embed, Hooks, PageSource},
    page::{
        PageDesc, Pieces,
        word::{Lists, NotUsed, Word},
    },
    rcu_head::RcuHead,
    sync::Ordering,
};

/// Retires fragments that readers may still see: one compare-and-swap, never the lock, and a call
/// if none is in flight.
///
/// # Panics
/// When one of them is not used; nothing has changed then.
///
/// # Safety
/// The page belongs to an mm of this type, and the caller owns the fragments, of which there is at
/// least one.
#[inline]
pub(crate) unsafe fn retire<const FRAGS: usize, const SIZE: usize, E: Embed>(pieces: Pieces) {
    let Pieces { page, mask, .. } = pieces;
    // SAFETY: descriptors are type-stable.
    let word = unsafe { &page.as_ref().word };
    let mut now = word.load(Ordering::Relaxed);
    let call = loop {
        let (retired, call) = match Word::<FRAGS>::from_bits(now).retire(mask) {
            Ok(step) => step,
            Err(NotUsed) => not_used::<FRAGS>(pieces.addr, mask, now),
        };
        // Release pairs with the Acquire in `queue`: our accesses happen before the callback, also
        // when it is somebody else's call that brings it (X), and before the page's release.
        match word.compare_exchange_weak(now, retired.bits(), Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => break call,
            Err(seen) => now = seen,
        }
    };
    if call {
        // SAFETY: P was empty and is ours now, so no call is in flight and the page stays until
        // ours comes back.
        unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
    }
}

/// Gives back fragments that no reader can have seen since they were taken: they are free at once.
/// Takes the lock if the page goes on the list or leaves it.
///
/// # Panics
/// When one of them is not used; nothing has changed then.
///
/// # Safety
/// The page belongs to an mm of this type, and the caller owns the fragments, of which there is at
/// least one.
#[inline]
pub(crate) unsafe fn give_back<const FRAGS: usize, const SIZE: usize, E: Embed>(pieces: Pieces) {
    // SAFETY: passed on to the caller.
    unsafe { try_give_back::<FRAGS, SIZE, E>(pieces, Wait::ForLock) };
}

/// [`give_back`] for those who may not wait: says whether it was done, or else nothing has changed.
///
/// # Safety
/// As for [`give_back`].
pub(crate) unsafe fn try_give_back<const FRAGS: usize, const SIZE: usize, E: Embed>(
    pieces: Pieces,
    wait: Wait,
) -> bool {
    let Pieces { page, mask, .. } = pieces;
    let freed = |word: Word<FRAGS>, lists: Lists| word.give_back(mask, lists);
    // SAFETY: the fragments are used, so the page stays until they are not.
    match unsafe { apply::<FRAGS, SIZE, E, _>(page, wait, freed) } {
        Ok(Some(step)) => {
            if step.call {
                // SAFETY: the page drains, by us.
                unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
            }
            true
        }
        Ok(None) => false,
        Err((NotUsed, seen)) => not_used::<FRAGS>(pieces.addr, mask, seen),
    }
}

/// The callback: a grace period is over for what is pending.
pub(crate) unsafe extern "C" fn grace_over<const FRAGS: usize, const SIZE: usize, E: Embed>(
    rcu: NonNull<RcuHead>,
) {
    // SAFETY: only `PageDesc::head` is ever queued with this function.
    let page = unsafe { PageDesc::of_head(rcu) };
    // SAFETY: descriptors are type-stable.
    let word = unsafe { &page.as_ref().word };
    // Relaxed: what is pending now was so when this callback was queued.
    let now = Word::<FRAGS>::from_bits(word.load(Ordering::Relaxed));
    // SAFETY: the page is out until its word says otherwise.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    for index in now.pending().iter() {
        // SAFETY: the page pins its mm's head.
        let head = unsafe { head.as_ref() };
        // SAFETY: what is pending is below `FRAGS`.
        head.hooks.reclaim(unsafe { head.frag(page, index) });
    }
    // SAFETY: ours to go on with.
    unsafe { settle::<FRAGS, SIZE, E>(rcu) };
}

/// The second half of the callback, after the hook: what is pending becomes free.
///
/// A callback never waits. If somebody holds the lock, it comes again after another grace period,
/// with the word as it is; the hook has been called, so it is this half that comes again.
unsafe extern "C" fn settle<const FRAGS: usize, const SIZE: usize, E: Embed>(
    rcu: NonNull<RcuHead>,
) {
    // SAFETY: as in `grace_over`.
    let page = unsafe { PageDesc::of_head(rcu) };
    let over = |word: Word<FRAGS>, lists: Lists| Ok::<_, Infallible>(word.grace_over(lists));
    // SAFETY: P or DRAIN, which only this callback ends, keeps the page.
    match unsafe { apply::<FRAGS, SIZE, E, _>(page, Wait::Never, over) } {
        // SAFETY: the word is unchanged, and the call that it asks for is over.
        Ok(None) => unsafe { queue::<FRAGS, SIZE, E>(page, settle::<FRAGS, SIZE, E>) },
        // SAFETY: the step made us the only one who knows the page.
        Ok(Some(step)) if step.release => unsafe { release::<FRAGS, SIZE, E>(page) },
        Ok(Some(step)) if step.call => {
            // SAFETY: P is not empty, or the page drains, by us.
            unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
        }
        Ok(Some(_)) => {}
        Err((never, _)) => match never {},
    }
}

/// Sends a page home.
///
/// # Safety
/// The caller has just installed the step that releases it.
unsafe fn release<const FRAGS: usize, const SIZE: usize, E: Embed>(page: NonNull<PageDesc>) {
    // SAFETY: the page has not been put back.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    // SAFETY: the page's pin is dropped below.
    let source = unsafe { &head.as_ref().source };
    // SAFETY: as above.
    let hooks = unsafe { &head.as_ref().hooks };
    // SAFETY: the page is of this source.
    hooks.page_out(unsafe { source.addr(page) });
    // SAFETY: nobody else knows the page: it has been off the list for a grace period.
    unsafe { source.put(page) };
    // SAFETY: this was the page's pin.
    unsafe { MmHead::unpin(head, Pin::Page) };
}
