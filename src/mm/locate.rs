//! Whether a pointer or a token is what it should be: a used fragment of this mm.

use core::ptr::{self, NonNull};

use super::{
    head::MmHead,
    misuse::{not_used, wrong_mm},
};
use crate::{
    embed::{Embed, PageSource},
    page::{Pieces, word::Word},
    sync::Ordering,
};

/// Where a used fragment lies, of whichever mm of the source.
///
/// # Panics
/// When `frag` is not the start of a used fragment.
pub(crate) fn locate<const FRAGS: usize, const SIZE: usize, S: PageSource>(
    source: &S,
    frag: NonNull<u8>,
) -> Pieces {
    let Some(page) = source.desc(frag) else {
        panic!("ptfrag: foreign pointer: {frag:p} lies in no page of the source");
    };
    let inside = frag.addr().get() % SIZE;
    assert!(
        inside == 0,
        "ptfrag: bad pointer: {frag:p} lies {inside} bytes inside a fragment of {SIZE}"
    );
    let pieces = Pieces::at::<FRAGS, SIZE>(page, frag);
    check_used::<FRAGS>(&pieces);
    pieces
}

/// Panics over a free of what is not used.
pub(crate) fn check_used<const FRAGS: usize>(pieces: &Pieces) {
    // SAFETY: descriptors are type-stable.
    let desc = unsafe { pieces.page.as_ref() };
    // Relaxed: who owns the fragment has seen the page come out; for who does not, this is a net.
    let now = desc.word.load(Ordering::Relaxed);
    if !Word::<FRAGS>::from_bits(now).used().contains(pieces.mask) {
        not_used::<FRAGS>(pieces.addr, pieces.mask, now);
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Where a fragment of this mm lies.
    ///
    /// # Panics
    /// When `frag` is not the start of a used fragment of this mm.
    pub(crate) fn locate(&self, frag: NonNull<u8>) -> Pieces {
        let pieces = locate::<FRAGS, SIZE, E::Source>(&self.source, frag);
        // SAFETY: a used fragment keeps the page out.
        unsafe { self.check_owner(&pieces) };
        pieces
    }

    /// Panics over a fragment of another mm.
    ///
    /// # Safety
    /// The fragment is used, and stays so.
    #[inline]
    pub(crate) unsafe fn check_owner(&self, pieces: &Pieces) {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { pieces.page.as_ref() };
        // SAFETY: a used fragment keeps its page out.
        let owner = unsafe { desc.mm() };
        if !ptr::addr_eq(owner, self) {
            wrong_mm::<FRAGS>(pieces.addr, pieces.mask, desc.word.load(Ordering::Relaxed));
        }
    }
}
