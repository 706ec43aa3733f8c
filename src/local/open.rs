//! How a handle comes out of an mm.

use core::{mem::MaybeUninit, ptr::NonNull};

use super::{Local, LocalPart};
#[cfg(feature = "alloc")]
use crate::mm::boxed;
use crate::{embed::Embed, mm::Mm};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Mm<FRAGS, SIZE, E> {
    /// A handle for one thread, its part in a `Box`.
    ///
    /// # Panics
    /// With 2^31 handles of one mm, which only leaked ones can reach.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn local(&self) -> Local<FRAGS, SIZE, E> {
        self.pin_handle();
        let (place, free_box) = boxed::place();
        // SAFETY: the box is ours, and stays allocated until it is disposed of; pinned above.
        unsafe { Local::new(self.head, place, free_box) }
    }

    /// A handle for one thread, its part at `place`.
    ///
    /// When the handle is gone and its last call is back, the part is dropped in place and
    /// `dispose` is called with it, once: on any thread, possibly inside an RCU callback, so it
    /// does not wait.
    ///
    /// # Panics
    /// As [`local`](Self::local); the place stays the caller's then.
    ///
    /// # Safety
    /// `place` is aligned, writable, and nobody else's until `dispose` is called.
    #[must_use]
    pub unsafe fn local_at(
        &self,
        place: NonNull<MaybeUninit<LocalPart<FRAGS, SIZE, E>>>,
        dispose: unsafe fn(NonNull<LocalPart<FRAGS, SIZE, E>>),
    ) -> Local<FRAGS, SIZE, E> {
        self.pin_handle();
        // SAFETY: the pin is the handle's; the rest is the caller's promise.
        unsafe { Local::new(self.head, place, dispose) }
    }
}
