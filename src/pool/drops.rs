//! The hooks of a pool.

use core::{fmt, marker::PhantomData, mem, ptr::NonNull};

use crate::embed::Hooks;

/// The hooks of a [`Pool`](crate::Pool): they drop what was retired, when its grace period is over.
///
/// Only a pool makes them.
pub struct Drops<T> {
    /// Bytes of a page.
    page: usize,
    values: PhantomData<fn(T)>,
}

impl<T> Drops<T> {
    /// # Safety
    /// They become the hooks of an mm with pages of so many bytes, and nobody but that calls them; each fragment that
    /// is retired there holds a value, which any thread may drop.
    pub(super) const unsafe fn new(page: usize) -> Self {
        Self { page, values: PhantomData }
    }
}

impl<T: 'static> Hooks for Drops<T> {
    /// Values with padding leave bytes that are not initialised, and the next owner of a page may read its bytes.
    fn page_out(&self, page: NonNull<u8>) {
        // SAFETY: the page is the hook's while it runs.
        unsafe { page.write_bytes(0, self.page) };
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        if mem::needs_drop::<T>() {
            // SAFETY: a value was retired there, which nobody else has any more.
            unsafe { frag.cast::<T>().drop_in_place() };
        }
    }
}

impl<T> fmt::Debug for Drops<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drops").finish_non_exhaustive()
    }
}
