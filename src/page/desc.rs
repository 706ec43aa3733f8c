//! The page descriptor: the page word, one RCU head, the owner and a ticket.

use core::{fmt, mem::offset_of, ptr, ptr::NonNull};

use crate::{
    rcu_head::RcuHead,
    sync::{AtomicU64, MODEL, OrderedPtr, Ordering, const_new},
};

/// The crate's part of a page, outside the page: 40 bytes on 64-bit machines.
///
/// Descriptors are made by a [`PageSource`](crate::PageSource), lie outside the pages and are
/// type-stable: once made, the memory stays a descriptor as long as the source lives (like Linux's
/// `struct page`). All-zero bytes are a valid descriptor, so fresh zeroed memory needs no loop.
///
/// For C, or for an array of them: [`SIZE`](Self::SIZE) bytes at a multiple of [`ALIGN`](Self::ALIGN), all
/// zero to begin with. What is in them is this crate's affair, but for the [link](Self::set_link).
///
/// # Invariants
/// - `word` is zero while the page is at its source, on its way to an mm or on its way back;
///   otherwise it is a legal [`Word`](crate::word::Word) of its mm's geometry.
/// - While the word has a fragment pending, `rcu` is queued, or somebody (who made it so, or the
///   callback) is about to queue it or to end that state. While the page is at its source the head is
///   the source's, which may keep the link of a free list there.
/// - `mm` points to the mm's head while the word is live: the page pins it. Afterwards it says who has
///   shown the page last to takers without the lock: nobody (null), the mm with the head at that address,
///   or some other.
/// - `ticket` is never later than the grace period that the call in flight waits for, and never earlier
///   than the one after which nobody looks at the page any more who found it with an mm that it has left.
///   Zero says nothing of the kind.
#[repr(C)]
pub struct PageDesc {
    pub(crate) word: AtomicU64,
    rcu: RcuHead,
    mm: OrderedPtr,
    pub(crate) ticket: AtomicU64,
}

const _: () = assert!(MODEL || size_of::<usize>() != 8 || size_of::<PageDesc>() == 40);

// SAFETY: `word` and `ticket` are atomic, `rcu` belongs to whoever the word says, and `mm` is written by a
// page's only owner, when nobody else can find the page.
unsafe impl Send for PageDesc {}
// SAFETY: as above.
unsafe impl Sync for PageDesc {}

impl PageDesc {
    /// Bytes of a descriptor: 40 on 64-bit machines.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes to whose multiple a descriptor is aligned.
    pub const ALIGN: usize = align_of::<Self>();

    const_new! {
        /// The descriptor of a page that is at its source.
        pub fn new() -> Self {
            Self {
                word: AtomicU64::new(0),
                rcu: RcuHead::new(),
                mm: OrderedPtr::null(),
                ticket: AtomicU64::new(0),
            }
        }
    }

    /// The head to queue for this page.
    ///
    /// # Safety
    /// `page` is a descriptor of a live source.
    #[inline]
    pub(crate) unsafe fn head(page: NonNull<Self>) -> NonNull<RcuHead> {
        // SAFETY: the offset lies inside the descriptor.
        unsafe { page.byte_add(offset_of!(Self, rcu)).cast() }
    }

    /// The page whose head this is.
    ///
    /// # Safety
    /// `head` came from [`head`](Self::head).
    #[inline]
    pub(crate) unsafe fn of_head(head: NonNull<RcuHead>) -> NonNull<Self> {
        // SAFETY: the way back from `head`.
        unsafe { head.byte_sub(offset_of!(Self, rcu)).cast() }
    }

    /// The head of the mm that owns the page.
    ///
    /// # Safety
    /// The page is out of its source, and something that the caller owns (a fragment, the call in
    /// flight, an mm's lock) keeps it there.
    #[inline]
    pub(crate) unsafe fn mm(&self) -> *const () {
        // SAFETY: nobody writes the field while the page is out.
        unsafe { self.mm.get() }
    }

    /// The same, for who does not know whether that is so: anything if it is not.
    #[inline]
    pub(crate) fn look_at_mm(&self) -> *const () {
        self.mm.look()
    }

    /// Makes `mm` the owner, or says when the page goes home that others have shown it.
    ///
    /// # Safety
    /// The caller has the page to itself: it has just taken it out of its source, or is about to put it
    /// back.
    #[inline]
    pub(crate) unsafe fn set_mm(&self, mm: *const ()) {
        self.mm.set(mm.cast_mut());
    }

    /// Stands for an mm that is not known any more.
    pub(crate) const OTHERS: *const () = ptr::without_provenance(1);
}

impl fmt::Debug for PageDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageDesc({:#018x})", self.word.load(Ordering::Relaxed))
    }
}

/// The source's use of the RCU head.
impl PageDesc {
    /// The link that [`set_link`](Self::set_link) left here.
    ///
    /// # Safety
    /// The caller is the page's source, which has the page at home, or is asked whether it
    /// [is zeroed](crate::PageSource::is_zeroed); it lets nobody else at the link meanwhile, and has
    /// called `set_link` since the page came home.
    #[must_use]
    pub unsafe fn link(&self) -> Option<NonNull<Self>> {
        // SAFETY: the source lets nobody else at the head.
        NonNull::new(unsafe { self.rcu.next() }.cast())
    }

    /// Leaves a link here, so that a source can chain its free pages without memory of its own.
    ///
    /// # Safety
    /// The caller is the page's source, which has the page at home and lets nobody else at the link
    /// meanwhile.
    pub unsafe fn set_link(&self, link: Option<NonNull<Self>>) {
        // SAFETY: the source lets nobody else at the head.
        unsafe { self.rcu.set_next(link.map_or(ptr::null_mut(), |page| page.as_ptr().cast())) };
    }
}

impl Default for PageDesc {
    fn default() -> Self {
        Self::new()
    }
}
