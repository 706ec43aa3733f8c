//! Fragments on their way back: which of which page.

use core::ptr::NonNull;

use super::{PageDesc, mask::Mask};

/// Fragments of one page that somebody owns.
#[derive(Clone, Copy)]
pub(crate) struct Pieces {
    pub(crate) page: NonNull<PageDesc>,
    /// The page's first byte, to name it in a panic.
    pub(crate) addr: NonNull<u8>,
    pub(crate) mask: Mask,
}

impl Pieces {
    /// The fragment of `SIZE` bytes at `frag`, on a page of `FRAGS` of them.
    #[inline]
    pub(crate) fn at<const FRAGS: usize, const SIZE: usize>(
        page: NonNull<PageDesc>,
        frag: NonNull<u8>,
    ) -> Self {
        let offset = frag.addr().get() % (FRAGS * SIZE);
        // SAFETY: pages are aligned to their size, so this leads to the start of the fragment's.
        let addr = unsafe { frag.sub(offset) };
        Self { page, addr, mask: Mask::single(offset / SIZE) }
    }
}
