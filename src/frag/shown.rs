//! A fragment that was published.

use core::mem::ManuallyDrop;

use super::Frag;
use crate::{embed::Embed, mm::free};

/// A fragment that readers may still see. Dropped, also by a panic, it is retired and not given back
/// as a token is.
pub(crate) struct Shown<const FRAGS: usize, const SIZE: usize, E: Embed>(
    ManuallyDrop<Frag<FRAGS, SIZE, E>>,
);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Shown<FRAGS, SIZE, E> {
    #[inline]
    pub(crate) fn new(frag: Frag<FRAGS, SIZE, E>) -> Self {
        Self(ManuallyDrop::new(frag))
    }

    #[inline]
    pub(crate) fn as_frag(&self) -> &Frag<FRAGS, SIZE, E> {
        &self.0
    }

    /// The token, for somebody who keeps it until a grace period is over.
    #[inline]
    pub(crate) fn keep(self) -> ManuallyDrop<Frag<FRAGS, SIZE, E>> {
        let Frag { addr, page, mm } = *ManuallyDrop::new(self).0;
        ManuallyDrop::new(Frag { addr, page, mm })
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Shown<FRAGS, SIZE, E> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the token owned the fragment.
        unsafe { free::retire::<FRAGS, SIZE, E>(self.0.pieces()) };
    }
}
