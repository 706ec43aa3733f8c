//! Hooks for those who want zeros.

use core::{fmt, ptr::NonNull};

use crate::embed::{AllocError, Hooks};

/// Hooks with which every fragment is handed out all zero, on pages of `PAGE` bytes with fragments of
/// `SIZE`.
///
/// A fragment is cleared once, on its way back: by the callback if it was retired, by whoever gives it
/// back if it was given back. A page is cleared when it comes from its source, unless the source
/// [knows](crate::PageSource::is_zeroed) that it is zero, as [`Region`](crate::Region) does of pages that
/// come fresh from the system.
///
/// ```
/// use ptfrag::{Domain, Mm, Region, Std, Zeroed};
///
/// type Tables = Mm<16, 256, Std<'static, 4096, Zeroed<4096, 256>>>;
///
/// // SAFETY: for an mm of this geometry, and nothing else.
/// let mm = Tables::new_in(Domain::global(), Region::new(64)?, unsafe { Zeroed::new() });
/// let mut frag = mm.alloc()?;
/// frag[7] = 7;
/// drop(frag);
/// assert!(mm.alloc()?.iter().all(|byte| *byte == 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Zeroed<const PAGE: usize, const SIZE: usize>(());

impl<const PAGE: usize, const SIZE: usize> Zeroed<PAGE, SIZE> {
    /// The hooks.
    ///
    /// # Safety
    /// They become the hooks of an mm with fragments of `SIZE` bytes on pages of `PAGE`, and nobody but
    /// that calls them: they write to what they are given.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl<const PAGE: usize, const SIZE: usize> fmt::Debug for Zeroed<PAGE, SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zeroed({SIZE} of {PAGE} bytes)")
    }
}

impl<const PAGE: usize, const SIZE: usize> Hooks for Zeroed<PAGE, SIZE> {
    const GIVES_BACK: bool = true;

    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        // SAFETY: the page is the hook's while it runs.
        unsafe { page.write_bytes(0, PAGE) };
        Ok(())
    }

    fn page_in_zeroed(&self, _: NonNull<u8>) -> Result<(), AllocError> {
        Ok(())
    }

    fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: the fragment is the hook's while it runs.
        unsafe { frag.write_bytes(0, SIZE) };
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        // SAFETY: as above, and no reader has it any more.
        unsafe { frag.write_bytes(0, SIZE) };
    }
}
