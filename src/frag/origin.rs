//! Where tokens come from: an mm, or a pointer that somebody kept.

use core::ptr::NonNull;

use super::Frag;
use crate::{
    embed::{AllocError, Embed, PageSource},
    mm::{Mm, free, head::MmHead, locate::locate},
    page::{PageDesc, Pieces},
};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Mm<FRAGS, SIZE, E> {
    /// Takes a fragment. Lock-free as long as the first page of the partial list has more than its
    /// host free; takes the mm's lock to take the last free fragment of a page or to list a fresh
    /// one.
    ///
    /// # Errors
    /// [`AllocError`] when nothing is free and the source has no page (or the hooks refuse it), and
    /// when the mm was closed. The mm stays usable: once something has come back, a later call
    /// succeeds. Trying again does not bring it back. Under a [`Domain`](crate::Domain) somebody has to
    /// run callbacks: outside of sections call its `poll`, or its `barrier`, which waits.
    #[inline]
    pub fn alloc(&self) -> Result<Frag<FRAGS, SIZE, E>, AllocError> {
        // SAFETY: the handle pins the head.
        let (page, index) = unsafe { MmHead::take(self.head) }?;
        // SAFETY: just taken.
        Ok(unsafe { self.head().token(page, index) })
    }

    /// The token of a fragment that [`Frag::into_raw`] let go.
    ///
    /// # Panics
    /// As [`retire_raw`](Self::retire_raw).
    ///
    /// # Safety
    /// The caller owns the fragment and makes one token of it. No reader has it, nor will one find
    /// it: the token may be written to, and frees the fragment at once when it is dropped. Its
    /// bytes are initialised where [`Frag::as_ptr`] asks for it.
    pub unsafe fn from_raw(&self, frag: NonNull<u8>) -> Frag<FRAGS, SIZE, E> {
        // SAFETY: passed on to the caller.
        unsafe { self.head().token_of(frag) }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// The token of a page's fragment.
    ///
    /// # Safety
    /// It is a used fragment of this mm, and there is no other token for it.
    #[inline]
    pub(crate) unsafe fn token(
        &self,
        page: NonNull<PageDesc>,
        index: usize,
    ) -> Frag<FRAGS, SIZE, E> {
        // SAFETY: the page is of this mm.
        let addr = unsafe { self.frag(page, index) };
        // SAFETY: passed on to the caller.
        unsafe { Frag::at(page, addr) }
    }

    /// The token of this mm's fragment whose pointer somebody kept.
    ///
    /// # Panics
    /// When `frag` is not the start of a used fragment of this mm.
    ///
    /// # Safety
    /// The caller owns the fragment, and there is no other token for it.
    pub(crate) unsafe fn token_of(&self, frag: NonNull<u8>) -> Frag<FRAGS, SIZE, E> {
        // SAFETY: located just now; the rest is the caller's promise.
        unsafe { Frag::of_pieces(&self.source, self.locate(frag)) }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Frag<FRAGS, SIZE, E> {
    /// The token of a fragment that [`into_raw`](Self::into_raw) let go, without its mm, which may be gone:
    /// the page knows whose it is. `source` is the mm's, any handle of it.
    ///
    /// # Panics
    /// When `frag` is not the start of a used fragment of `source`; nothing has changed then.
    ///
    /// # Safety
    /// As for [`Mm::from_raw`](crate::Mm::from_raw), and the fragment is one of an mm of this type.
    pub unsafe fn from_raw(source: &E::Source, frag: NonNull<u8>) -> Self {
        // SAFETY: located just now; the rest is the caller's promise.
        unsafe { Self::of_pieces(source, locate::<FRAGS, SIZE, E::Source>(source, frag)) }
    }

    /// The token of a fragment whose pointer somebody kept. Its pointer is the page's own, since the one
    /// that was kept may be good for less, such as reading only.
    ///
    /// # Safety
    /// The pieces are one used fragment of a page of `source`, as was found by its pointer; the caller owns
    /// it, and there is no other token for it.
    unsafe fn of_pieces(source: &E::Source, Pieces { page, mask, .. }: Pieces) -> Self {
        // SAFETY: the page is of this source.
        let first = unsafe { source.addr(page) };
        // SAFETY: the fragment lies in the page.
        let addr = unsafe { first.add(mask.lowest().unwrap_or(0) * SIZE) };
        // SAFETY: passed on to the caller.
        unsafe { Self::at(page, addr) }
    }

    /// Retires a fragment that [`into_raw`](Self::into_raw) let go, without its mm, which may be gone: the
    /// page knows whose it is. `source` is the mm's, any handle of it. Costs what
    /// [`retire`](Self::retire) does, and a look at the page's word.
    ///
    /// # Panics
    /// When `frag` is not the start of a used fragment of `source`; nothing has changed then.
    ///
    /// # Safety
    /// As for [`Mm::retire_raw`](crate::Mm::retire_raw), and the fragment is one of an mm of this type.
    pub unsafe fn retire_raw(source: &E::Source, frag: NonNull<u8>) {
        let pieces = locate::<FRAGS, SIZE, E::Source>(source, frag);
        // SAFETY: passed on to the caller.
        unsafe { free::retire::<FRAGS, SIZE, E>(pieces) };
    }
}
