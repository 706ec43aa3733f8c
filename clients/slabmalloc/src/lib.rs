//! A heap of [slabmalloc]'s whose pages are fragments.
//!
//! slabmalloc serves small objects from pages of 4 KiB and larger ones from pages of 2 MiB, and leaves it to its user to
//! refill it with pages and to reclaim those that have become empty. A [`Slabs`] does both: a 4 KiB page is one of 16
//! fragments of a 64 KiB page, a 2 MiB page one of two of a 4 MiB page. Heaps of many threads or processors, which is what
//! slabmalloc advises, share the pages without a lock between them.
//!
//! # What it promises
//! - Objects of up to 128 KiB, aligned up to their size (a larger alignment makes them larger):
//!   [`allocate`](Slabs::allocate) refills the heap as it needs to. When there is no page it first takes those that other
//!   sizes have left empty.
//! - Empty pages go back when [`reclaim`](Slabs::reclaim) is called and when the heap is dropped, and not before, since
//!   slabmalloc only looks for them then. Pages with objects in them stay out when the heap goes, and are lost.
//! - Nothing is published and nothing retired: no grace period is waited for, and no callback runs.
//!
//! slabmalloc wants pages that are aligned to their size and initialised; it sets up what it needs in them itself, so they
//! need not be zeroed. Its feature `unstable`, which makes its constructors `const` and is on by default, needs a nightly
//! compiler; without it 0.11 builds with a stable one.
//!
//! # What it costs
//! - slabmalloc's classes are powers of two. One of its large pages holds at most 512 objects, so those of 257 to 512 bytes use
//!   an eighth of it.
//! - A page that goes back is cleared: objects may have left bytes that are not initialised (padding), and its next owner
//!   may read them.
//! - `reclaim` looks at all pages of the heap.
//!
//! # As `#[global_allocator]`
//! The RCU and the page source then must not come back to it: [`Domain`](ptfrag::Domain) and [`Region`](ptfrag::Region) do so
//! only where they are made or dropped.
//!
//! ```
//! use core::alloc::Layout;
//! use ptfrag::{Domain, Region};
//! use ptfrag_client_slabmalloc::{LARGE, LargePages, SMALL, Slabs, SmallPages};
//!
//! let small = Region::<{ 16 * SMALL }>::new(100)?;
//! let large = Region::<{ 2 * LARGE }>::new(10)?;
//! let small_pages = SmallPages::new(Domain::global(), small.clone());
//! let large_pages = LargePages::new(Domain::global(), large.clone());
//! std::thread::scope(|scope| {
//!     for _ in 0..2 {
//!         scope.spawn(|| {
//!             let mut heap = Slabs::new(&small_pages, &large_pages);
//!             let object = heap.allocate(Layout::new::<[u64; 3]>()).expect("there are 100 pages");
//!             // SAFETY: the object is ours.
//!             unsafe { object.cast().write([1_u64, 2, 3]) };
//!             // SAFETY: allocated there with this layout.
//!             unsafe { heap.deallocate(object, Layout::new::<[u64; 3]>()) };
//!         });
//!     }
//! });
//! assert_eq!(small.pages_out() + large.pages_out(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```
#![no_std]

use core::{alloc::Layout, cell::Cell, ptr::NonNull};

use ptfrag::{AllocError, Embed, Frag, Mm};
use slabmalloc::{
    AllocablePage as _, AllocationError, Allocator as _, LargeObjectPage, ObjectPage, ZoneAllocator,
};

/// Bytes of a page for objects of up to 256 bytes.
pub const SMALL: usize = ObjectPage::SIZE;

/// Bytes of a page for larger objects.
pub const LARGE: usize = LargeObjectPage::SIZE;

/// An mm of small pages.
pub type SmallPages<S> = Mm<16, SMALL, S>;

/// An mm of large pages.
pub type LargePages<L> = Mm<2, LARGE, L>;

/// A heap: a [`ZoneAllocator`] that fetches its pages, and brings them back.
///
/// It is one thread's at a time, as that is. (slabmalloc lets others free objects at the same time, but does not order what
/// they did before; here they share the heap under a lock.)
pub struct Slabs<'m, S: Embed, L: Embed> {
    zone: ZoneAllocator<'static>,
    small: &'m SmallPages<S>,
    large: &'m LargePages<L>,
}

impl<'m, S: Embed, L: Embed> Slabs<'m, S, L> {
    /// A heap without pages.
    #[must_use]
    pub fn new(small: &'m SmallPages<S>, large: &'m LargePages<L>) -> Self {
        Self { zone: ZoneAllocator::new(), small, large }
    }

    /// An object of this layout.
    ///
    /// # Errors
    /// [`OutOfMemory`](AllocationError::OutOfMemory) when there is no page for it, and
    /// [`InvalidLayout`](AllocationError::InvalidLayout) when it is larger than
    /// [`ZoneAllocator::MAX_ALLOC_SIZE`].
    pub fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, AllocationError> {
        let layout = class(layout)?;
        self.try_allocate(layout).or_else(|error| match error {
            AllocationError::OutOfMemory => {
                // Other sizes may have left pages; and now slabmalloc knows which of those that were full have room.
                self.reclaim();
                self.try_allocate(layout)
            }
            AllocationError::InvalidLayout => Err(error),
        })
    }

    fn try_allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, AllocationError> {
        match self.zone.allocate(layout) {
            Err(AllocationError::OutOfMemory) => self.refill(layout)?,
            done => return done,
        }
        self.zone.allocate(layout)
    }

    /// Frees an object.
    ///
    /// # Safety
    /// It was allocated by this heap with this layout, and nobody uses it any more.
    pub unsafe fn deallocate(&mut self, object: NonNull<u8>, layout: Layout) {
        let done = class(layout).and_then(|layout| self.zone.deallocate(object, layout));
        debug_assert!(done.is_ok(), "what was allocated has a size that there is");
    }

    /// Gives back all pages in which there is no object, and says how many there were.
    pub fn reclaim(&mut self) -> usize {
        let count = Cell::new(0);
        self.zone.try_reclaim_base_pages(usize::MAX, |page| {
            count.set(count.get() + 1);
            // SAFETY: slabmalloc has let go of the page, which is one that `refill` gave it.
            unsafe { give_back(self.small, page.cast()) };
        });
        self.zone.try_reclaim_large_pages(usize::MAX, |page| {
            count.set(count.get() + 1);
            // SAFETY: as above.
            unsafe { give_back(self.large, page.cast()) };
        });
        count.get()
    }

    /// Gives the zone a page for objects of this layout.
    fn refill(&mut self, layout: Layout) -> Result<(), AllocationError> {
        if layout.size() <= ZoneAllocator::MAX_BASE_ALLOC_SIZE {
            let mut page = page(self.small)?.cast();
            // SAFETY: a fragment is aligned to its size, initialised, and the zone's until that lets go of it.
            let page: &'static mut ObjectPage<'static> = unsafe { page.as_mut() };
            // SAFETY: the page is empty, and of the size that such objects are in.
            unsafe { self.zone.refill(layout, page) }
        } else {
            let mut page = page(self.large)?.cast();
            // SAFETY: as above.
            let page: &'static mut LargeObjectPage<'static> = unsafe { page.as_mut() };
            // SAFETY: as above.
            unsafe { self.zone.refill_large(layout, page) }
        }
    }
}

fn page<const FRAGS: usize, const SIZE: usize, E: Embed>(
    mm: &Mm<FRAGS, SIZE, E>,
) -> Result<NonNull<u8>, AllocationError> {
    mm.alloc().map(Frag::into_raw).map_err(|AllocError| AllocationError::OutOfMemory)
}

/// The layout by which slabmalloc chooses a class: it does not look at the alignment then, but its objects are aligned to
/// the size of their class.
fn class(layout: Layout) -> Result<Layout, AllocationError> {
    let align = layout.align();
    Layout::from_size_align(layout.size().max(align), align)
        .map_err(|_| AllocationError::InvalidLayout)
}

/// # Safety
/// The page came from this mm, and nobody uses it any more.
unsafe fn give_back<const FRAGS: usize, const SIZE: usize, E: Embed>(
    mm: &Mm<FRAGS, SIZE, E>,
    page: *mut u8,
) {
    // SAFETY: a page is somewhere.
    let page = unsafe { NonNull::new_unchecked(page) };
    // SAFETY: nobody else has it.
    unsafe { page.write_bytes(0, SIZE) };
    // SAFETY: no reader has ever seen it, and its bytes have just been initialised.
    drop(unsafe { mm.from_raw(page) });
}

impl<S: Embed, L: Embed> Drop for Slabs<'_, S, L> {
    fn drop(&mut self) {
        self.reclaim();
    }
}
