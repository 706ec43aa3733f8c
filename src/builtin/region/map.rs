//! A piece of address space from `mmap`, made accessible bit by bit.

use core::{ops::Range, ptr, ptr::NonNull};
use std::io;

/// The system's page size in bytes: a power of two.
pub(super) fn system_page() -> io::Result<usize> {
    // SAFETY: `sysconf` takes a number and has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// A private anonymous mapping, unmapped when dropped. Its bytes are zero when they are first read.
///
/// # Invariants
/// - `base..base + len` is mapped and belongs to this value alone; it is no longer than
///   `isize::MAX` bytes, and `base` carries the provenance of all of it.
/// - `len` is a multiple of the system's page size, and `base` is aligned to it at least.
pub(super) struct Map {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the value owns it.
unsafe impl Send for Map {}
// SAFETY: through a shared reference the value itself changes nothing but protections and, in an
// unsafe function, contents; both are safe to ask of the system from any thread.
unsafe impl Sync for Map {}

impl Map {
    /// Whether [`discard`](Self::discard) frees memory at once: elsewhere the advice of that name
    /// does less or nothing.
    pub(super) const DISCARDS: bool = cfg!(any(target_os = "linux", target_os = "android"));

    /// Reserves `len` bytes, rounded up to `system` (the system's page size) and aligned to
    /// `align`, a power of two. Nothing of it is accessible yet, and none of it is charged to the
    /// process.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when the length with its rounding exceeds
    /// `isize::MAX`; what `mmap` says when it refuses.
    pub(super) fn reserve(len: usize, align: usize, system: usize) -> io::Result<Self> {
        let spare = align.saturating_sub(system);
        let (len, whole) = len
            .checked_next_multiple_of(system)
            .and_then(|len| Some((len, len.checked_add(spare)?)))
            .filter(|&(_, whole)| isize::try_from(whole).is_ok())
            .ok_or_else(too_large)?;

        // There is no MAP_NORESERVE here: under it the system would not charge for what is made
        // writable later, and would kill instead of refuse.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new mapping at an address of the system's choice disturbs nobody's memory.
        let raw = unsafe { libc::mmap(ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let raw = NonNull::new(raw.cast::<u8>())
            .ok_or_else(|| io::Error::other("mmap answered with the null address"))?;

        // `mmap` aligns to the system's page only: `spare` bytes too many leave room to align by
        // hand, and what sticks out on either side goes back.
        let head = raw.addr().get().wrapping_neg() & (align - 1);
        // SAFETY: `head` is a multiple of the system's page below `align`, so at most `spare`.
        let base = unsafe { raw.byte_add(head) };
        let map = Self { base, len };
        // SAFETY: `head + len` is at most `whole`.
        let end = unsafe { base.byte_add(len) };
        // SAFETY: these bytes lie in the new mapping, outside what `map` owns.
        unsafe { unmap(raw, head) };
        // SAFETY: as above.
        unsafe { unmap(end, spare - head) };
        Ok(map)
    }

    /// The first byte.
    #[inline(always)]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes reserved.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes a range of offsets readable and writable. Doing it twice does no harm.
    ///
    /// # Errors
    /// What `mprotect` says: above all that the system does not promise that much memory. Memory
    /// that was accessible before still is.
    ///
    /// # Panics
    /// When the range is not inside the mapping.
    pub(super) fn commit(&self, range: Range<usize>) -> io::Result<()> {
        let at = self.at(&range);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range lies in this mapping, and only gains accesses.
        let answer = unsafe { libc::mprotect(at.as_ptr().cast(), range.len(), prot) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives the memory under a range of offsets back to the system. The range stays accessible
    /// and, where [`DISCARDS`](Self::DISCARDS) is set, reads as zeroes from then on.
    ///
    /// # Errors
    /// What `madvise` says (locked memory cannot be given back); nothing has been lost then that
    /// anybody may rely on.
    ///
    /// # Panics
    /// When the range is not inside the mapping.
    ///
    /// # Safety
    /// Nobody else uses the range, and nobody needs its contents.
    pub(super) unsafe fn discard(&self, range: Range<usize>) -> io::Result<()> {
        let at = self.at(&range);
        // SAFETY: the range lies in this mapping, and its contents may go, by the contract.
        let answer = unsafe { libc::madvise(at.as_ptr().cast(), range.len(), libc::MADV_DONTNEED) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Asks for huge pages, which the system need not have.
    pub(super) fn advise_huge(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: the range is this mapping, and the advice changes nothing that is in it.
        let _taken =
            unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_HUGEPAGE) };
    }

    /// The start of a range that is checked to lie inside.
    fn at(&self, range: &Range<usize>) -> NonNull<u8> {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} is not inside a mapping of {} bytes",
            self.len
        );
        // SAFETY: the offset is at most `len`.
        unsafe { self.base.byte_add(range.start) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the value owns the mapping, and ends here.
        unsafe { unmap(self.base, self.len) };
    }
}

/// The error of a reservation that no address space can hold.
pub(super) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the region is larger than an address space")
}

/// Unmaps `len` bytes, or nothing if that is zero.
///
/// # Safety
/// The bytes are whole system pages of a mapping that the caller owns, and nobody uses them again.
unsafe fn unmap(at: NonNull<u8>, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: by the contract.
    let answer = unsafe { libc::munmap(at.as_ptr().cast(), len) };
    // It can fail only when cutting a mapping in two exceeds the limit on their number; then the
    // address space stays reserved, which is all that can be done about it.
    debug_assert_eq!(answer, 0, "munmap: {}", io::Error::last_os_error());
}
