//! Pages for ptfrag from a page allocator of [axallocator]'s.
//!
//! ArceOS and what is built on it have one [`PageAllocator`] for all memory. Whoever wants page tables or slabs that are smaller
//! than a page, and that readers walk without a lock, gets them from there: a page of ptfrag's is one or more of theirs, side by
//! side.
//!
//! It is this way round, and not ptfrag as a page allocator of theirs, because that has to hand out ranges of any number of pages,
//! and at given addresses: fragments are of one size, and where there is room.
//!
//! # What it promises
//! - [`get`](PageSource::get) has pages that lie side by side, aligned to a page of ptfrag's, or fails if there are none. They are
//!   zeroed, as [`is_zeroed`](PageSource::is_zeroed) says.
//! - [`put`](PageSource::put) gives them back. The page allocator then counts no page of an mm that is gone.
//! - Descriptors are in an array beside, and numbers follow from addresses by a shift: pages that are not this source's
//!   are skipped over, not looked up. The source is a [`NumberedSource`], so [`Nested`](ptfrag::Nested) takes it.
//!
//! # What it costs
//! - `get` clears the page: whoever had it before may have left bytes that are not initialised (padding).
//! - 40 bytes for each page that the memory has room for (64-bit machines).
//! - `get` and `put` wait for the kernel's lock. `put` is called from RCU callbacks; where those can interrupt a holder on its
//!   processor the lock has to keep them away, as ArceOS's does. An mm that [keeps](ptfrag::Mm::keeping) a few pages seldom
//!   comes here.
//! - `BitmapPageAllocator` looks for several pages side by side from its first free one on, bit by
//!   bit. If that takes too long take its pages one by one: fragments of 256 bytes from pages of 4 KiB.
//!
//! ```
//! use axallocator::{BaseAllocator, BitmapPageAllocator, PageAllocator};
//! use core::ptr::NonNull;
//! use ptfrag::{Domain, Embed, Mm, PageDesc, SpinLock};
//! use ptfrag_client_axallocator::{Global, SharedPages};
//! use std::sync::Mutex;
//!
//! struct Kernel(Mutex<BitmapPageAllocator<4096>>); // in ArceOS that is a SpinNoIrq
//!
//! static KERNEL: Kernel = Kernel(Mutex::new(BitmapPageAllocator::new()));
//!
//! // SAFETY: a mutex lets one in at a time, and nobody gives back what he does not have.
//! unsafe impl Global for Kernel {
//!     type Pages = BitmapPageAllocator<4096>;
//!     fn with<R>(&self, work: impl FnOnce(&mut Self::Pages) -> R) -> R {
//!         work(&mut self.0.lock().expect("nobody panics with it"))
//!     }
//! }
//!
//! struct Parts;
//! impl Embed for Parts {
//!     type Rcu = &'static Domain;
//!     type Source = SharedPages<65536, Kernel>;
//!     type Lock = SpinLock;
//!     type Hooks = ();
//! }
//!
//! #[repr(align(65536))]
//! struct Memory([u8; 8 * 65536]);
//!
//! let memory: &'static mut Memory = Box::leak(Box::new(Memory([0; 8 * 65536]))); // what a boot loader says that there is
//! let descs: &'static mut [PageDesc] = Box::leak((0..8).map(|_| PageDesc::new()).collect());
//! let start = NonNull::from(memory).cast::<u8>();
//! KERNEL.with(|pages| pages.init(start.addr().get(), 8 * 65536));
//! // SAFETY: this is all memory that there is.
//! let pages = unsafe { SharedPages::new(&KERNEL, start, 8 * 65536, descs) };
//!
//! let stack = KERNEL.with(|pages| pages.alloc_pages(4, 4096)); // somebody else
//! let mm = Mm::<16, 4096, Parts>::new_in(Domain::global(), pages, ());
//! let tables: Vec<_> = (0..7 * 16).map(|_| mm.alloc()).collect::<Result<_, _>>()?;
//! assert!(mm.alloc().is_err(), "the last page has the stack in it");
//! assert_eq!(KERNEL.with(|pages| pages.used_pages()), 7 * 16 + 4);
//! # Ok::<(), ptfrag::AllocError>(())
//! ```
#![no_std]

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use axallocator::PageAllocator;
use ptfrag::{AllocError, NumberedSource, PageDesc, PageSource};

/// The page allocator that the kernel's parts share, under its lock.
///
/// # Safety
/// [`with`](Self::with) lets one at it at a time; what that did happens before the next one. Pages that were allocated are
/// given to nobody else before they are given back, and nobody gives back what he does not have.
pub unsafe trait Global: Send + Sync + 'static {
    /// What is shared.
    type Pages: PageAllocator;

    /// Does something with it.
    fn with<R>(&self, work: impl FnOnce(&mut Self::Pages) -> R) -> R;
}

/// A page source over a page allocator: pages of `PAGE` bytes, a power of two, and of the allocator's at least.
///
/// Several mms share it by reference, or by an `Arc`, both of which are page sources as well.
pub struct SharedPages<const PAGE: usize, G: Global> {
    global: &'static G,
    /// Where page number 0 begins, which the memory may begin in. (Then it is never out.)
    base: *mut u8,
    descs: NonNull<PageDesc>,
    count: usize,
    /// Whether hardly any pages were left when this was here last: a hint.
    scarce: AtomicBool,
}

// SAFETY: pages are whoever got them, descriptors are `Sync`, and the page allocator has a lock.
unsafe impl<const PAGE: usize, G: Global> Send for SharedPages<PAGE, G> {}
// SAFETY: as above.
unsafe impl<const PAGE: usize, G: Global> Sync for SharedPages<PAGE, G> {}

impl<const PAGE: usize, G: Global> SharedPages<PAGE, G> {
    /// The allocator's pages in one of these.
    const PAGES: usize = {
        let theirs = <G::Pages as PageAllocator>::PAGE_SIZE;
        assert!(PAGE.is_power_of_two() && theirs.is_power_of_two(), "powers of two");
        assert!(theirs <= PAGE, "a page is made of the allocator's");
        PAGE / theirs
    };

    /// Pages in `memory`, which has so many bytes.
    ///
    /// # Panics
    /// When there are not as many descriptors as pages for which there is room.
    ///
    /// # Safety
    /// The memory is there for ever, nobody uses a page of it but who has allocated it from `global`, or was given it by
    /// whoever has, and `global` has no pages but in this memory.
    #[must_use]
    pub unsafe fn new(
        global: &'static G,
        memory: NonNull<u8>,
        bytes: usize,
        descs: &'static mut [PageDesc],
    ) -> Self {
        let missing = memory.addr().get() % PAGE;
        let base = memory.as_ptr().wrapping_sub(missing);
        let count = (missing + bytes) / PAGE;
        assert!(count <= descs.len(), "each page has a descriptor");
        let scarce = AtomicBool::new(false);
        Self { global, base, descs: NonNull::from(descs).cast(), count, scarce }
    }

    fn with<R>(&self, work: impl FnOnce(&mut G::Pages) -> R) -> R {
        self.global.with(|pages| {
            let done = work(pages);
            let scarce = pages.available_pages() <= pages.total_pages() / 16;
            self.scarce.store(scarce, Ordering::Relaxed);
            done
        })
    }
}

// SAFETY: a page is a range that the page allocator has aligned to its size and gives to nobody else before `put`, and it is
// initialised here. Each place for one has its descriptor, for ever, that nobody else writes. The kernel's lock orders
// a `put` before the `get` that follows.
unsafe impl<const PAGE: usize, G: Global> PageSource for SharedPages<PAGE, G> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let at = self.with(|pages| pages.alloc_pages(Self::PAGES, PAGE));
        let offset = at.map_err(|_| AllocError)?.wrapping_sub(self.base.addr());
        assert!(
            offset % PAGE == 0 && offset / PAGE < self.count,
            "the allocator has pages that this source does not know"
        );
        // SAFETY: there are so many descriptors.
        let page = unsafe { self.descs.add(offset / PAGE) };
        // SAFETY: it is of this source.
        let bytes = unsafe { self.addr(page) };
        // SAFETY: the pages have just become ours.
        unsafe { bytes.write_bytes(0, PAGE) };
        Ok(page)
    }

    unsafe fn is_zeroed(&self, _: NonNull<PageDesc>) -> bool {
        true
    }

    fn is_scarce(&self) -> bool {
        self.scarce.load(Ordering::Relaxed)
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        // SAFETY: passed on to the caller.
        let at = unsafe { self.addr(page) };
        self.with(|pages| pages.dealloc_pages(at.addr().get(), Self::PAGES));
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
unsafe impl<const PAGE: usize, G: Global> NumberedSource for SharedPages<PAGE, G> {
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.addr().get()) / size_of::<PageDesc>()
    }
}

impl<const PAGE: usize, G: Global> fmt::Debug for SharedPages<PAGE, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedPages({} pages of {PAGE} bytes at {:p})", self.count, self.base)
    }
}
