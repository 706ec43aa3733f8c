//! The ways back: retire and give back.
//!
//! Neither allocates or fails. They are functions of a page and not methods of the mm's head,
//! because the head may be gone the moment that the page's word is changed; each says what keeps it
//! until when.

use super::{
    apply::{Wait, apply},
    call::{joins, queue},
    callback::grace_over,
    home::go_home,
    misuse::not_used,
};
use crate::{
    embed::Embed,
    page::{
        Pieces,
        word::{Lists, NotUsed, Word},
    },
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
        // SAFETY: the fragments keep the page.
        let joins = || unsafe { joins::<FRAGS, SIZE, E>(page) };
        let (retired, call) = match Word::<FRAGS>::from_bits(now).retire(mask, joins) {
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
    match unsafe { apply::<FRAGS, SIZE, E, _>(page, wait, &mut false, freed) } {
        Ok(Some(step)) => {
            // SAFETY: the step was made just now.
            unsafe { go_home::<FRAGS, SIZE, E>(page, step) };
            true
        }
        Ok(None) => false,
        Err((NotUsed, seen)) => not_used::<FRAGS>(pieces.addr, mask, seen),
    }
}
