//! Pages from `mmap`, with their descriptors in an array beside them.
//!
//! Two reservations of address space, one for the pages and one for the descriptors, become
//! accessible from the front as they are needed. The number of a page is its place in both, so
//! address and descriptor follow from each other by shifts.

mod discard;
mod free;
mod growth;
mod map;
mod report;
mod returned;

use core::ptr::NonNull;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use crossbeam_utils::CachePadded;

use self::{
    discard::TOGETHER,
    free::Free,
    growth::Growth,
    map::{Map, system_page, too_large},
    returned::{MOST, Returned},
};
use crate::{
    builtin::scarce::Scarce,
    embed::{AllocError, NumberedSource, PageSource},
    page::PageDesc,
    sync::{AtomicUsize, Ordering},
};

/// Descriptors stand at distances of `1 << DESC_SHIFT` bytes: a power of two, which their size
/// need not be on 32-bit machines.
const DESC_SHIFT: u32 = size_of::<PageDesc>().next_power_of_two().trailing_zeros();

/// Bytes of a huge page, on most machines. Where it has others the system makes of it what it can.
const HUGE: usize = 2 << 20;

/// A page source over `mmap`: up to a fixed number of pages of `PAGE` bytes.
///
/// Creating one reserves address space and no memory. Pages become accessible as they are asked
/// for, a chunk at a time (64 KiB, or an eighth of what is there), so that a system which does not
/// promise more memory refuses that chunk, and [`get`](PageSource::get) answers [`AllocError`].
///
/// Pages that come back are handed out again. Up to a limit, set by [`with_keep`](Self::with_keep), free
/// pages keep their memory and contents ("warm"), and come out first, the last one back before the others.
/// Those past the limit give their memory back to the system (`madvise` with `MADV_DONTNEED`), when there
/// is an eighth of the limit of them, or 64: neighbours in one call. Then they come out zeroed, after all
/// that have theirs. Three kinds of pages cannot give memory back and stay warm whatever the limit: those
/// smaller than the system's page, those of locked memory (`mlockall`), and all pages on systems other than
/// Linux. Descriptors stay until the region goes.
///
/// [`put`](PageSource::put) does not allocate, and waits for no system call of another thread's: it is one
/// exchange, without a lock. One mutex is held for a few stores at each `get`, which takes in what was put, and
/// at a `put` where 64 pages have come back since, pages are [scarce](PageSource::is_scarce), or memory is to be
/// given back. An mm that empties and fills pages all the
/// time does better to [keep](crate::Mm::keeping) some, or to be used through
/// [handles](crate::Local), than to come back here.
///
/// The value is a handle: cloning it is cheap and shares the region, which is unmapped with the
/// last handle. A page that is out keeps no handle by itself; the mm that owns it does, until its last
/// page is home: one fragment that is leaked keeps the whole region mapped. Who calls
/// [`get`](PageSource::get) directly keeps a handle for as long as the page is in use.
///
/// `PAGE` is a power of two and at least 32; anything else does not compile.
///
/// ```
/// use ptfrag::{PageSource, Region};
///
/// let region = Region::<65536>::new(1000)?;
/// let page = region.get()?;
/// // SAFETY: the page is from this region.
/// let addr = unsafe { region.addr(page) };
/// assert_eq!(addr.addr().get() % 65536, 0);
/// assert_eq!(region.desc(addr), Some(page));
/// // SAFETY: the page is from this region and is put back once.
/// unsafe { region.put(page) };
/// assert_eq!(region.pages_out(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Region<const PAGE: usize = 4096>(Arc<Inner>);

/// # Invariants
/// - `pages` holds `capacity` pages, `descs` as many descriptors.
/// - The first `grown` bytes of `pages`, a number of whole pages that never falls, and the
///   descriptors of these pages are accessible.
/// - The locks are taken in the order `growth`, `discarding`, `free`.
struct Inner {
    pages: Map,
    descs: Map,
    grown: AtomicUsize,
    scarce: Scarce,
    capacity: usize,
    keep: usize,
    /// Bytes of which a whole number becomes accessible at a time: the system's page, or its huge one.
    unit: usize,
    growth: Mutex<Growth>,
    /// Read-locked by those who give memory back.
    discarding: RwLock<()>,
    /// These two on cache lines of their own, since the fields above are read for every fragment freed, and
    /// who takes pages is often another processor than who puts them back.
    returned: CachePadded<Returned>,
    free: CachePadded<Mutex<Free>>,
}

impl<const PAGE: usize> Region<PAGE> {
    /// Free pages that stay warm unless [`with_keep`](Self::with_keep) says otherwise: 32 MiB of
    /// them, or 64.
    pub const DEFAULT_KEEP: usize = {
        let fit = (32 << 20) / PAGE;
        if fit > 64 { fit } else { 64 }
    };

    const PAGE_SHIFT: u32 = {
        assert!(PAGE.is_power_of_two() && PAGE >= 32, "PAGE is a power of two and at least 32");
        PAGE.trailing_zeros()
    };

    /// Reserves room for `pages` pages; [`DEFAULT_KEEP`](Self::DEFAULT_KEEP) free ones stay warm.
    ///
    /// # Errors
    /// As for [`with_keep`](Self::with_keep).
    pub fn new(pages: usize) -> io::Result<Self> {
        Self::with_keep(pages, Self::DEFAULT_KEEP)
    }

    /// Reserves room for `pages` pages; `keep` free ones stay warm, `usize::MAX` meaning all.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when `pages` is zero, or when that many pages
    /// or their descriptors exceed `isize::MAX` bytes; the system's error when it does not give
    /// that much address space.
    pub fn with_keep(pages: usize, keep: usize) -> io::Result<Self> {
        let system = system_page()?;
        let keep = if Map::DISCARDS && PAGE >= system { keep } else { usize::MAX };
        Self::reserve(pages, keep, system, system)
    }

    /// The same on huge pages of the system, where it has some for a program that asks (Linux's `MADV_HUGEPAGE`; it falls
    /// back to its small ones): for many pages that are used all over, whose addresses and descriptors processors then look
    /// up faster. Memory comes 2 MiB at a time, and stays with the region.
    ///
    /// ```
    /// let region = ptfrag::Region::<65536>::huge(1000)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`with_keep`](Self::with_keep).
    pub fn huge(pages: usize) -> io::Result<Self> {
        let region = Self::reserve(pages, usize::MAX, system_page()?, HUGE)?;
        region.0.pages.advise_huge();
        region.0.descs.advise_huge();
        Ok(region)
    }

    /// Reserves room that becomes accessible some `unit`s at a time.
    fn reserve(pages: usize, keep: usize, system: usize, unit: usize) -> io::Result<Self> {
        if pages == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a region has at least one page",
            ));
        }
        let unit = unit.max(system);
        let bytes = |shift: u32| {
            let bytes =
                pages.checked_mul(1 << shift).and_then(|n| n.checked_next_multiple_of(unit));
            bytes.ok_or_else(too_large)
        };
        let page_bytes = bytes(Self::PAGE_SHIFT)?;
        let desc_bytes = bytes(DESC_SHIFT)?;
        let pages_map = Map::reserve(page_bytes, PAGE.max(unit), system)?;
        let descs = Map::reserve(desc_bytes, unit, system)?;
        // No address space of today has room for so many; the system has said so.
        if pages > MOST {
            return Err(too_large());
        }
        Ok(Self(Arc::new(Inner {
            pages: pages_map,
            descs,
            grown: AtomicUsize::new(0),
            scarce: Scarce::new(false),
            capacity: pages,
            keep,
            unit,
            growth: Mutex::default(),
            discarding: RwLock::default(),
            returned: CachePadded::new(Returned::new()),
            free: CachePadded::default(),
        })))
    }
}

impl Inner {
    /// Takes the lock, and in what has come back.
    fn free(&self) -> MutexGuard<'_, Free> {
        let mut free = lock(&self.free);
        if !self.returned.is_empty() {
            self.drain_returned(&mut free);
            self.settle(&mut free);
        }
        free
    }

    /// The descriptor of a page.
    ///
    /// # Safety
    /// There are more than `number` pages.
    #[inline(always)]
    unsafe fn nth(&self, number: usize) -> NonNull<PageDesc> {
        // SAFETY: `descs` holds as many descriptors as there are pages.
        unsafe { self.descs.base().byte_add(number << DESC_SHIFT) }.cast()
    }

    /// The number of a page.
    #[inline(always)]
    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.base().addr().get()) >> DESC_SHIFT
    }

    /// Notes what there is, and takes in what has come back meanwhile if that is too much.
    fn settle(&self, free: &mut Free) {
        while !self.note(free) {
            self.drain_returned(free);
        }
    }

    /// Notes whether pages are scarce, and how many can come back
    /// before that has to be looked at again, or memory is to be given back; says whether fewer have.
    fn note(&self, free: &Free) -> bool {
        let scarce = self.scarce.note(free.out, self.capacity);
        let kept = self.keep.saturating_sub(free.warm.len());
        let room = match kept.saturating_add(self.together()).saturating_sub(free.excess.len()) {
            _ if scarce => 1,
            room => room.clamp(1, TOGETHER),
        };
        self.returned.make_room(room)
    }

    /// Takes an accessible page, if one is free.
    fn take(&self, free: &mut Free) -> Option<NonNull<PageDesc>> {
        // SAFETY: this is the source, and `free` is behind its lock.
        let mut page = unsafe { free.warm.pop() };
        if page.is_none() {
            // SAFETY: as above.
            page = unsafe { free.excess.pop() };
        }
        let zeroed = page.is_none();
        if page.is_none() {
            // SAFETY: as above.
            page = unsafe { free.cold.pop() };
        }
        if page.is_none() && free.fresh < free.grown {
            // SAFETY: `grown` is at most the capacity.
            page = Some(unsafe { self.nth(free.fresh) });
            free.fresh += 1;
        }
        let page = page?;
        free.out += 1;
        free.taken += 1;
        self.settle(free);
        if zeroed {
            // What it holds comes from the system: it links to itself, as no page on a stack does. The link
            // of a warm page stays what it is, for its line may be another processor's.
            // SAFETY: descriptors are type-stable.
            let desc = unsafe { page.as_ref() };
            // SAFETY: the page is on no stack any more, and nobody else has it.
            unsafe { desc.set_link(Some(page)) };
        }
        Some(page)
    }
}

// SAFETY: `PAGE_SIZE` is a power of two, and pages are aligned to it since the reservation is. Each
// is returned, on one stack, fresh, or out, so nobody else's between `get` and `put`; its memory is
// accessible since `fresh` stays below `grown`, and initialised since the system's is zeroed. The
// descriptors are of zeroed memory, fixed, and mapped until the last handle goes; only a page at
// the source has its link written. A `put` happens before the `get` that
// follows: it releases the page to whoever drains what was returned, under the lock.
unsafe impl<const PAGE: usize> PageSource for Region<PAGE> {
    const PAGE_SIZE: usize = 1 << Self::PAGE_SHIFT;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let inner = &*self.0;
        let page = inner.take(&mut inner.free());
        if let Some(page) = page {
            return Ok(page);
        }
        let mut growth = lock(&inner.growth);
        // Another thread may have grown the region while this one waited for its turn.
        let page = inner.take(&mut inner.free());
        if let Some(page) = page {
            return Ok(page);
        }
        let Some(grown) = growth.step::<PAGE>(inner) else {
            return inner.take_after_discards().ok_or(AllocError);
        };
        let mut free = inner.free();
        free.grown = grown;
        // Relaxed, here and in `desc`: whoever has got an address of a page from somebody has an
        // edge from there that orders the two.
        inner.grown.store(grown << Self::PAGE_SHIFT, Ordering::Relaxed);
        inner.take(&mut free).ok_or(AllocError)
    }

    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // SAFETY: `take` set the link or left it as it was on a stack, and nobody else has the page.
        unsafe { desc.link() == Some(page) }
    }

    fn is_scarce(&self) -> bool {
        self.0.scarce.get()
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        let inner = &*self.0;
        debug_assert!(inner.number(page) < inner.capacity, "the page is not from this region");
        // SAFETY: a descriptor stays one as long as its source lives.
        let desc = unsafe { page.as_ref() };
        debug_assert_eq!(desc.word.load(Ordering::Relaxed), 0, "the page is still somebody's");
        // SAFETY: the page has just come back.
        let full = unsafe { inner.put_in_front(page) };
        if full && inner.free().excess.len() >= inner.together() {
            inner.discard_excess::<PAGE>();
        }
    }

    #[inline]
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        let inner = &*self.0;
        // An address below the region wraps around to an offset past its end.
        let offset = addr.addr().get().wrapping_sub(inner.pages.base().addr().get());
        if offset >= inner.grown.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the offset lies in a page.
        Some(unsafe { inner.nth(offset >> Self::PAGE_SHIFT) })
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        let inner = &*self.0;
        let offset = inner.number(page) << Self::PAGE_SHIFT;
        // SAFETY: the page is from this source, so its bytes lie in the mapping.
        unsafe { inner.pages.base().byte_add(offset) }
    }
}

// SAFETY: each page has its place.
unsafe impl<const PAGE: usize> NumberedSource for Region<PAGE> {
    fn count(&self) -> usize {
        self.0.capacity
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        self.0.number(page)
    }
}

/// Locks. What a thread that panicked left behind is whole: nothing panics halfway through a
/// change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
