//! What the caller does along a page's way.

use std::ptr::NonNull;

use ptfrag::{AllocError, Hooks};

use super::{Parts, called::called};

pub(super) struct OwnHooks {
    parts: &'static Parts,
    page: usize,
    frag: usize,
}

impl OwnHooks {
    /// For pages and fragments of so many bytes.
    pub(super) fn new(parts: &'static Parts, page: usize, frag: usize) -> Self {
        Self { parts, page, frag }
    }

    fn clear(&self, at: NonNull<u8>, bytes: usize) {
        if self.parts.zeroed {
            // SAFETY: only hooks call this, with what is theirs while they run.
            unsafe { at.write_bytes(0, bytes) };
        }
    }
}

impl Hooks for OwnHooks {
    const GIVES_BACK: bool = true;

    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        self.clear(page, self.page);
        self.page_in_zeroed(page)
    }

    fn page_in_zeroed(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        let Some(page_in) = self.parts.page_in else { return Ok(()) };
        // SAFETY: the caller's function, with its context.
        let taken = called(|| unsafe { page_in(self.parts.context, page.as_ptr()) });
        if taken { Ok(()) } else { Err(AllocError) }
    }

    fn page_out(&self, page: NonNull<u8>) {
        if let Some(page_out) = self.parts.page_out {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { page_out(self.parts.context, page.as_ptr()) });
        }
    }

    fn give_back(&self, frag: NonNull<u8>) {
        self.clear(frag, self.frag);
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        if let Some(reclaim) = self.parts.reclaim {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { reclaim(self.parts.context, frag.as_ptr()) });
        }
        self.clear(frag, self.frag);
    }
}
