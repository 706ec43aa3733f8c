//! Memory of the program's allocator, for a source.

use core::{alloc::Layout, ptr::NonNull};

use alloc::alloc::{alloc_zeroed, dealloc};

use crate::embed::AllocError;

/// A zeroed block. Of a large one whose alignment is no more than any block's, as a rule only what is used is ever written,
/// so the system need not find memory for the rest; and other than with a `Box` pointers into it outlast its moves.
pub(crate) struct Block {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block is memory, and what is done with it is its owner's concern.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Room for so many of `size` bytes, one at least, aligned to `align`.
    ///
    /// # Errors
    /// [`AllocError`] when there is no such block.
    pub(crate) fn zeroed(count: usize, size: usize, align: usize) -> Result<Self, AllocError> {
        // An allocator is never asked for nothing.
        let bytes = count.max(1).checked_mul(size).ok_or(AllocError)?;
        let layout = Layout::from_size_align(bytes, align).map_err(|_| AllocError)?;
        // SAFETY: nothing of no size is asked for here.
        let at = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(AllocError)?;
        Ok(Self { at, layout })
    }

    pub(crate) fn at(&self) -> NonNull<u8> {
        self.at
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated above with this layout.
        unsafe { dealloc(self.at.as_ptr(), self.layout) };
    }
}
