//! Pages for ptfrag from a frame allocator of [buddy_system_allocator]'s.
//!
//! A kernel that hands out its memory by a [`LockedFrameAllocator`] gets ptfrag's pages from there, too, beside its stacks,
//! buffers and whatever else is made of frames: a page is a block of one or more frames, and goes back as one.
//!
//! Of what that crate has to offer this is the part that is made for it. Its `Heap` could serve as well, and keeps its lists in
//! the free memory; but it finds out by a walk along a list whether a block's other half is free, and whoever has one as the
//! program's allocator needs nothing of this: see [`Memory::in_heap`](ptfrag::Memory::in_heap).
//!
//! # What it promises
//! - [`get`](PageSource::get) has a block of frames, aligned to a page, or fails if there is none. The page is zeroed, as
//!   [`is_zeroed`](PageSource::is_zeroed) says.
//! - [`put`](PageSource::put) gives the block back, and the buddy system joins it with its neighbours.
//! - Descriptors are in an array beside, and numbers follow from addresses by a shift: frames that are not this source's
//!   are skipped over, not looked up. The source is a [`NumberedSource`], so [`Nested`](ptfrag::Nested) takes it.
//!
//! # What it costs
//! - `get` clears the page: whoever had the frames before may have left bytes that are not initialised (padding).
//! - 40 bytes for each page that the memory has room for (64-bit machines).
//! - `get` and `put` wait for the frame allocator's lock, which spins, and change a tree under it, for which that asks the
//!   program's allocator for memory at times. `put` is called from RCU callbacks: they have to be where both may be done.
//!   An mm that [keeps](ptfrag::Mm::keeping) a few pages seldom comes here.
//! - The frame allocator does not say how many frames are left, so pages are never
//!   [scarce](PageSource::is_scarce) before there are none.
//!
//! ```
//! use buddy_system_allocator::LockedFrameAllocator;
//! use core::ptr::NonNull;
//! use ptfrag::{Domain, Embed, Mm, PageDesc, SpinLock};
//! use ptfrag_client_buddy_system_allocator::FramePages;
//!
//! static FRAMES: LockedFrameAllocator = LockedFrameAllocator::new();
//!
//! struct Parts;
//! impl Embed for Parts {
//!     type Rcu = &'static Domain;
//!     type Source = FramePages<4096, 65536>; // frames of 4 KiB, pages of 64 KiB
//!     type Lock = SpinLock;
//!     type Hooks = ();
//! }
//!
//! #[repr(align(65536))]
//! struct Memory([u8; 8 * 65536]);
//!
//! let memory: &'static mut Memory = Box::leak(Box::new(Memory([0; 8 * 65536]))); // what a boot loader says that there is
//! let descs: &'static mut [PageDesc] = Box::leak((0..8).map(|_| PageDesc::new()).collect());
//! let first = 0x80000; // a kernel counts frames from address zero
//! FRAMES.lock().add_frame(first, first + 128);
//! // SAFETY: these are all frames that there are, and nobody gives back what he does not have.
//! let pages = unsafe { FramePages::new(&FRAMES, NonNull::from(memory).cast(), first, 128, descs) };
//!
//! let stack = FRAMES.lock().alloc(4); // somebody else
//! let mm = Mm::<16, 4096, Parts>::new_in(Domain::global(), pages, ());
//! let tables: Vec<_> = (0..7 * 16).map(|_| mm.alloc()).collect::<Result<_, _>>()?;
//! assert!(mm.alloc().is_err(), "the last page has the stack in it");
//! # Ok::<(), ptfrag::AllocError>(())
//! ```
#![no_std]

use core::{fmt, ptr::NonNull};

use buddy_system_allocator::LockedFrameAllocator;
use ptfrag::{AllocError, NumberedSource, PageDesc, PageSource};

/// A page source over a frame allocator: frames of `FRAME` bytes, pages of `PAGE`, both powers of two.
///
/// Several mms share it by reference, or by an `Arc`, both of which are page sources as well.
pub struct FramePages<const FRAME: usize, const PAGE: usize, const ORDER: usize = 33> {
    frames: &'static LockedFrameAllocator<ORDER>,
    /// Where page number 0 begins. (Its first frames may be missing. Then it is never out.)
    base: *mut u8,
    /// The number of the frame there.
    first: usize,
    descs: NonNull<PageDesc>,
    count: usize,
}

// SAFETY: pages are whoever got them, descriptors are `Sync`, and the frame allocator has a lock.
unsafe impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> Send
    for FramePages<FRAME, PAGE, ORDER>
{
}
// SAFETY: as above.
unsafe impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> Sync
    for FramePages<FRAME, PAGE, ORDER>
{
}

impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> FramePages<FRAME, PAGE, ORDER> {
    /// Frames of a page.
    const FRAMES: usize = {
        assert!(FRAME.is_power_of_two() && PAGE.is_power_of_two(), "powers of two");
        assert!(FRAME <= PAGE, "a page is made of frames");
        PAGE / FRAME
    };

    /// Pages in `memory`, which is `count` frames from the number `first` on.
    ///
    /// # Panics
    /// When a frame whose number is a multiple of a page's is not aligned to a page, or there are not as many descriptors as
    /// pages for which there is room.
    ///
    /// # Safety
    /// - The memory is there for ever, and nobody uses a frame of it but who has allocated it from `frames`, or was given it
    ///   by whoever has.
    /// - `frames` has no frames but these, if it has all of them.
    /// - Nobody gives a frame back to `frames` that somebody else has.
    #[must_use]
    pub unsafe fn new(
        frames: &'static LockedFrameAllocator<ORDER>,
        memory: NonNull<u8>,
        first: usize,
        count: usize,
        descs: &'static mut [PageDesc],
    ) -> Self {
        let missing = first % Self::FRAMES;
        let base = memory.as_ptr().wrapping_sub(missing * FRAME);
        let count = (missing + count) / Self::FRAMES;
        assert!(base.addr() % PAGE == 0, "frames of a page are not aligned to it");
        assert!(count <= descs.len(), "each page has a descriptor");
        Self { frames, base, first: first - missing, descs: NonNull::from(descs).cast(), count }
    }
}

// SAFETY: a page is a block of frames, which the frame allocator has aligned to its size and gives to nobody else before `put`,
// and it is initialised here. Each place for one has its descriptor, for ever, that nobody else writes. The frame
// allocator's lock orders a `put` before the `get` that follows.
unsafe impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> PageSource
    for FramePages<FRAME, PAGE, ORDER>
{
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let frame = self.frames.lock().alloc(Self::FRAMES).ok_or(AllocError)?;
        let number = frame.wrapping_sub(self.first) / Self::FRAMES;
        assert!(number < self.count, "the allocator has frames that this source does not know");
        // SAFETY: there are so many descriptors.
        let page = unsafe { self.descs.add(number) };
        // SAFETY: it is of this source.
        let bytes = unsafe { self.addr(page) };
        // SAFETY: the frames have just become ours.
        unsafe { bytes.write_bytes(0, PAGE) };
        Ok(page)
    }

    unsafe fn is_zeroed(&self, _: NonNull<PageDesc>) -> bool {
        true
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        let frame = self.first + self.number(page) * Self::FRAMES;
        self.frames.lock().dealloc(frame, Self::FRAMES);
    }

    #[inline]
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        // An address in front of the memory wraps around to a number past its end.
        let number = addr.addr().get().wrapping_sub(self.base.addr()) / PAGE;
        // SAFETY: there are so many descriptors.
        (number < self.count).then(|| unsafe { self.descs.add(number) })
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        let addr = self.base.wrapping_add(self.number(page) * PAGE);
        // SAFETY: a page that has ever been out lies in the memory.
        unsafe { NonNull::new_unchecked(addr) }
    }
}

// SAFETY: each page has its place.
unsafe impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> NumberedSource
    for FramePages<FRAME, PAGE, ORDER>
{
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.addr().get()) / size_of::<PageDesc>()
    }
}

impl<const FRAME: usize, const PAGE: usize, const ORDER: usize> fmt::Debug
    for FramePages<FRAME, PAGE, ORDER>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramePages({} pages of {PAGE} bytes at {:p})", self.count, self.base)
    }
}
