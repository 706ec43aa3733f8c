//! Pages from memory that is there already: no system, and no allocator unless it is asked for.

use core::{fmt, ptr::NonNull};

#[cfg(feature = "alloc")]
use super::block::Block;
use super::{SpinLock, scarce::Scarce, stack::Stack};
use crate::{
    embed::{AllocError, NumberedSource, PageSource, RawLock},
    page::PageDesc,
    sync::UnsafeCell,
};

/// A page source over a fixed piece of memory, with a descriptor for each page beside it.
///
/// `PAGE` is a power of two. `L` is the lock that [`get`](PageSource::get), [`put`](PageSource::put) and
/// [`pages_out`](Self::pages_out) take for a few stores. `put` waits for it, in callbacks too: where those can interrupt a
/// holder the lock has to keep them away, and a holder that is stopped stops the callbacks of all mms that share this.
/// Several mms share it by reference, `&'static Memory`, or by an `Arc`, both of which are page sources as well.
///
/// ```
/// use ptfrag::{Domain, Embed, Memory, Mm, PageDesc, SpinLock};
///
/// #[repr(align(4096))]
/// struct Room([u8; 8 * 4096]);
///
/// struct Parts;
/// impl Embed for Parts {
///     type Rcu = &'static Domain;
///     type Source = Memory<4096>;
///     type Lock = SpinLock;
///     type Hooks = ();
/// }
///
/// let room: &'static mut Room = Box::leak(Box::new(Room([0; 8 * 4096]))); // or a `static`, or what a boot loader left
/// let descs: &'static mut [PageDesc] = Box::leak((0..8).map(|_| PageDesc::new()).collect());
/// let mm = Mm::<16, 256, Parts>::new_in(Domain::global(), Memory::new(&mut room.0, descs), ());
/// let frag = mm.alloc()?;
/// # Ok::<(), ptfrag::AllocError>(())
/// ```
pub struct Memory<const PAGE: usize, L = SpinLock> {
    pages: NonNull<u8>,
    descs: NonNull<PageDesc>,
    count: usize,
    lock: L,
    /// Behind the lock.
    free: UnsafeCell<Free>,
    scarce: Scarce,
    /// Pages and descriptors, if they came from the allocator: those that were never out are all zero then. They go with
    /// the last handle, when no mm has a page and nobody looks at a descriptor any more; who got a page by hand has
    /// promised to keep one.
    #[cfg(feature = "alloc")]
    blocks: Option<[Block; 2]>,
}

/// # Invariants
/// Those from `fresh` on were never out.
struct Free {
    back: Stack,
    fresh: usize,
}

impl Free {
    fn out(&self) -> usize {
        self.fresh - self.back.len()
    }
}

// SAFETY: the memory is the source's, the descriptors are `Sync`, and the rest is behind the lock.
unsafe impl<const PAGE: usize, L: RawLock> Send for Memory<PAGE, L> {}
// SAFETY: as above.
unsafe impl<const PAGE: usize, L: RawLock> Sync for Memory<PAGE, L> {}

impl<const PAGE: usize, L: RawLock> Memory<PAGE, L> {
    const SHIFT: u32 = {
        assert!(PAGE.is_power_of_two(), "PAGE is a power of two");
        PAGE.trailing_zeros()
    };

    /// The pages that lie in `memory`, as many as there are descriptors for. What is in front of the first multiple of
    /// `PAGE`, and behind the last whole page, is not used.
    #[must_use]
    pub fn new(memory: &'static mut [u8], descs: &'static mut [PageDesc]) -> Self {
        let (len, start) = (memory.len(), NonNull::from(memory).cast());
        let skip = Self::up_to_a_page(start);
        let count = (len.saturating_sub(skip) >> Self::SHIFT).min(descs.len());
        // If that is behind the memory there is no page.
        let pages = start.map_addr(|addr| addr.saturating_add(skip));
        // SAFETY: they are this source's for ever, and the descriptors are new or those of another source that is gone.
        unsafe { Self::at(pages, NonNull::from(descs).cast(), count) }
    }

    /// The pages at an address, each with a descriptor.
    ///
    /// # Panics
    /// When `pages` is not a multiple of `PAGE`.
    ///
    /// # Safety
    /// `pages` is initialised memory of `count` pages, and `descs` as many descriptors, [new](PageDesc::new) or all
    /// zero, both of them nobody else's as long as a handle of this source lives.
    #[must_use]
    pub unsafe fn at(pages: NonNull<u8>, descs: NonNull<PageDesc>, count: usize) -> Self {
        assert!(
            count == 0 || pages.addr().get() % PAGE == 0,
            "ptfrag: pages are aligned to their size"
        );
        Self {
            pages,
            descs,
            count,
            lock: L::new(),
            free: UnsafeCell::new(Free { back: Stack::default(), fresh: 0 }),
            scarce: Scarce::new(count == 0),
            #[cfg(feature = "alloc")]
            blocks: None,
        }
    }

    /// So many pages from the program's allocator, which get back to it with the source. On most systems a page costs no
    /// memory before it is used.
    ///
    /// # Errors
    /// [`AllocError`] when it has no such block.
    #[cfg(feature = "alloc")]
    pub fn in_heap(count: usize) -> Result<Self, AllocError> {
        // One page more than asked for, and not an aligned block, of which the allocator would clear every byte at once.
        let room = Block::zeroed(count.checked_add(1).ok_or(AllocError)?, PAGE, 1)?;
        let descs = Block::zeroed(count, PageDesc::SIZE, PageDesc::ALIGN)?;
        // SAFETY: less than the page that there is more.
        let pages = unsafe { room.at().add(Self::up_to_a_page(room.at())) };
        // SAFETY: they are this source's, zeroed, until it goes.
        let memory = unsafe { Self::at(pages, descs.at().cast(), count) };
        Ok(Self { blocks: Some([room, descs]), ..memory })
    }

    /// Bytes from an address to the next multiple of `PAGE`.
    fn up_to_a_page(addr: NonNull<u8>) -> usize {
        addr.addr().get().wrapping_neg() % PAGE
    }

    /// Pages that are out.
    #[must_use]
    pub fn pages_out(&self) -> usize {
        self.locked(|free| free.out())
    }

    fn locked<R>(&self, work: impl FnOnce(&mut Free) -> R) -> R {
        self.lock.lock();
        // SAFETY: under the lock.
        let result = self.free.with_mut(|free| work(unsafe { &mut *free }));
        // SAFETY: taken above.
        unsafe { self.lock.unlock() };
        result
    }
}

// SAFETY: pages are aligned, as `at` has checked, initialised, and each is on the stack, fresh or out. The descriptors are in
// place as long as the source; only a page at home has its link written. The lock orders a `put` before the `get`
// that follows.
unsafe impl<const PAGE: usize, L: RawLock + 'static> PageSource for Memory<PAGE, L> {
    const PAGE_SIZE: usize = 1 << Self::SHIFT;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        self.locked(|free| {
            // SAFETY: the source lives, and this is under its lock.
            let page = match unsafe { free.back.pop() } {
                Some(page) => page,
                None if free.fresh < self.count => {
                    // SAFETY: there are so many descriptors.
                    let page = unsafe { self.descs.add(free.fresh) };
                    free.fresh += 1;
                    // SAFETY: a descriptor stays one as long as its source lives.
                    let desc = unsafe { page.as_ref() };
                    // It links to itself, as no page on the stack does: nobody has written to it.
                    // SAFETY: the page is at home.
                    unsafe { desc.set_link(Some(page)) };
                    page
                }
                None => return Err(AllocError),
            };
            self.scarce.note(free.out(), self.count);
            Ok(page)
        })
    }

    #[cfg(feature = "alloc")]
    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // SAFETY: `get` left a link there, and nobody else has the page.
        self.blocks.is_some() && unsafe { desc.link() == Some(page) }
    }

    fn is_scarce(&self) -> bool {
        self.scarce.get()
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        self.locked(|free| {
            // SAFETY: the page is at home and on no stack, and this is under the lock.
            unsafe { free.back.push(page) };
            self.scarce.note(free.out(), self.count);
        });
    }

    #[inline]
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        // An address below the pages wraps around to a number past their end.
        let number = addr.addr().get().wrapping_sub(self.pages.addr().get()) >> Self::SHIFT;
        // SAFETY: there are so many descriptors.
        (number < self.count).then(|| unsafe { self.descs.add(number) })
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: there are so many pages.
        unsafe { self.pages.add(self.number(page) << Self::SHIFT) }
    }
}

// SAFETY: each page has its place.
unsafe impl<const PAGE: usize, L: RawLock + 'static> NumberedSource for Memory<PAGE, L> {
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.addr().get()) / size_of::<PageDesc>()
    }
}

impl<const PAGE: usize, L> fmt::Debug for Memory<PAGE, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} pages of {PAGE} bytes at {:p})", self.count, self.pages)
    }
}
