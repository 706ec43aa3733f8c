//! The mm's head: what the owner and the pages of an mm share, and what outlives the owner.
//!
//! Every page that is out of its source pins its mm's head, and so does every handle. The last pin
//! to go disposes of the head, possibly inside a callback long after the owner left, so nothing
//! there waits or allocates. Two tails could still touch a head that is gone, and both are
//! forbidden by contract: the end of `unlock` ([`RawLock`]) and the end of `call` ([`Rcu`]). On the
//! crate's side this holds: **a thread that changes a word under the lock is covered by a pin until
//! it has unlocked**. While the mm is open its owner is such a pin, for the owner has to get the
//! lock of each lane to close it; once it is closed, words are changed without the lock, but for the closer
//! itself, whose handle is the pin.

use core::{
    fmt,
    ptr::{self, NonNull},
};

use crossbeam_utils::CachePadded;

use super::{lanes::Lanes, list::BadLink, passed::Passed, waiting::Waiting};
use crate::{
    embed::{AllocError, Embed, PageSource},
    page::{PageDesc, word::Word},
    sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell},
};

/// What is counted page by page.
pub(super) struct Counts {
    /// Handles in the lower half, pages in the upper.
    pins: AtomicU64,
    /// Empty pages on the list, and places that were reserved for such: never fewer than there are.
    pub(super) empty: AtomicU32,
}

/// The part of an mm that its pages keep alive. Only embedders without an allocator name it, to
/// give it a place ([`Mm::new_at`](crate::Mm::new_at)).
pub struct MmHead<const FRAGS: usize, const SIZE: usize, E: Embed> {
    pub(super) lanes: Lanes<FRAGS, E>,
    pub(super) counts: CachePadded<Counts>,
    pub(crate) rcu: E::Rcu,
    pub(crate) source: E::Source,
    pub(crate) hooks: E::Hooks,
    /// Pages that wait for the lock.
    pub(super) waiting: Waiting,
    /// What one handle has passed on for another.
    pub(super) passed: Passed,
    /// So many empty pages are kept. Written while nobody else has a pin.
    pub(super) keep: UnsafeCell<u32>,
    dispose: unsafe fn(NonNull<Self>),
}

// SAFETY: the parts are Send and Sync by their traits; `closed` and the list are guarded by the
// lock, and `dispose` is a plain function.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for MmHead<FRAGS, SIZE, E> {}
// SAFETY: as above.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Sync for MmHead<FRAGS, SIZE, E> {}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for MmHead<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MmHead({FRAGS} x {SIZE} bytes, {} pages)", self.pages())
    }
}

/// A reason to keep the head.
#[derive(Clone, Copy)]
pub(crate) enum Pin {
    Handle,
    Page,
}

impl Pin {
    const fn unit(self) -> u64 {
        match self {
            Self::Handle => 1,
            Self::Page => 1 << 32,
        }
    }

    /// How many of this kind there are.
    const fn count(self, pins: u64) -> u32 {
        match self {
            Self::Handle => pins as u32,
            Self::Page => (pins >> 32) as u32,
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Fails to compile for a geometry that cannot work.
    const GEOMETRY: () = {
        assert!(FRAGS >= 2 && FRAGS <= 16, "a page has 2 to 16 fragments");
        assert!(FRAGS.is_power_of_two(), "the number of fragments is a power of two");
        assert!(SIZE.is_power_of_two(), "the size of a fragment is a power of two");
        assert!(SIZE >= 2 * size_of::<usize>(), "a fragment has room for two pointers");
        assert!(
            FRAGS * SIZE == <E::Source as PageSource>::PAGE_SIZE,
            "the fragments make up exactly one page of the source"
        );
    };

    /// A head with one pin, its owner's.
    pub(crate) fn new(
        rcu: E::Rcu,
        source: E::Source,
        hooks: E::Hooks,
        dispose: unsafe fn(NonNull<Self>),
    ) -> Self {
        const { Self::GEOMETRY };
        Self {
            lanes: Lanes::one(),
            counts: CachePadded::new(Counts {
                pins: AtomicU64::new(Pin::Handle.unit()),
                empty: AtomicU32::new(0),
            }),
            rcu,
            source,
            hooks,
            waiting: Waiting::new(),
            passed: Passed::new(),
            keep: UnsafeCell::new(0),
            dispose,
        }
    }

    /// The head of the mm that owns a page.
    ///
    /// # Safety
    /// The page is out, belongs to an mm of this type, and something that the caller owns keeps it
    /// there.
    pub(crate) unsafe fn of_page(page: NonNull<PageDesc>) -> NonNull<Self> {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // SAFETY: passed on to the caller.
        let mm = unsafe { desc.mm() };
        // SAFETY: a page that is out has an owner.
        unsafe { NonNull::new_unchecked(mm.cast_mut().cast()) }
    }

    /// A page from which can be taken, if any is listed.
    pub(crate) fn first(&self) -> Option<NonNull<PageDesc>> {
        self.all_lanes().find_map(|lane| self.first_in(lane))
    }

    /// Checks a listed page's neighbours before it is unlinked.
    ///
    /// # Safety
    /// As for [`PartialList::check`].
    pub(crate) unsafe fn check(
        &self,
        page: NonNull<PageDesc>,
        word: Word<FRAGS>,
    ) -> Result<(), BadLink> {
        // SAFETY: passed on to the caller.
        unsafe { self.list_of(word).check(&self.source, page, word) }
    }

    /// The address of a page's fragment.
    ///
    /// # Safety
    /// The page is of this mm's source, and `index` below `FRAGS`.
    #[inline]
    pub(crate) unsafe fn frag(&self, page: NonNull<PageDesc>, index: usize) -> NonNull<u8> {
        // SAFETY: the page is of this source.
        let addr = unsafe { self.source.addr(page) };
        // SAFETY: the fragment lies in the page.
        unsafe { addr.add(index * SIZE) }
    }

    /// Pages that are out of the source for this mm.
    pub(crate) fn pages(&self) -> usize {
        Pin::Page.count(self.counts.pins.load(Ordering::Relaxed)) as usize
    }

    /// Whether nothing else than the caller's handle pins the head, nor does until the caller has made use of
    /// that.
    ///
    /// # Safety
    /// The caller has a handle, and nobody else uses it meanwhile.
    pub(super) unsafe fn is_alone(head: NonNull<Self>) -> bool {
        // SAFETY: the handle keeps the head.
        let this = unsafe { head.as_ref() };
        let (pins, one) = (&this.counts.pins, Pin::Handle.unit());
        // Acquire pairs with `unpin`: whoever was there before has finished. An exchange, though it
        // changes nothing, because it sees the last of them go.
        pins.compare_exchange(one, one, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Adds a pin; the caller has one already.
    ///
    /// # Errors
    /// [`AllocError`] with 2^31 pins of this kind; nothing has changed then.
    pub(crate) fn pin(&self, pin: Pin) -> Result<(), AllocError> {
        // Relaxed: the caller's own pin keeps the head until this one counts.
        let more = |pins: u64| (pin.count(pins) < 1 << 31).then(|| pins + pin.unit());
        let pinned = self.counts.pins.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        pinned.map(drop).map_err(|_| AllocError)
    }

    /// Drops a pin, and with the last one the head.
    ///
    /// # Safety
    /// The pin was the caller's, who does not touch the head through it again.
    pub(crate) unsafe fn unpin(head: NonNull<Self>, pin: Pin) {
        // SAFETY: the pin keeps the head until the subtraction.
        let pins = unsafe { &head.as_ref().counts.pins };
        // Release orders this pin's accesses to the head, Acquire the others', before its disposal.
        if pins.fetch_sub(pin.unit(), Ordering::AcqRel) == pin.unit() {
            // SAFETY: no pin is left.
            let dispose = unsafe { head.as_ref() }.dispose;
            // SAFETY: nobody uses the head any more.
            unsafe { ptr::drop_in_place(head.as_ptr()) };
            // SAFETY: it was promised to this function, once.
            unsafe { dispose(head) };
        }
    }
}

/// A pin that goes when this is dropped, also by a panic.
pub(super) struct Pinned<const FRAGS: usize, const SIZE: usize, E: Embed> {
    head: NonNull<MmHead<FRAGS, SIZE, E>>,
    pin: Pin,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Pinned<FRAGS, SIZE, E> {
    /// # Safety
    /// The caller hands over such a pin.
    pub(super) unsafe fn new(head: NonNull<MmHead<FRAGS, SIZE, E>>, pin: Pin) -> Self {
        Self { head, pin }
    }

    pub(super) fn head(&self) -> &MmHead<FRAGS, SIZE, E> {
        // SAFETY: the pin keeps it.
        unsafe { self.head.as_ref() }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Pinned<FRAGS, SIZE, E> {
    fn drop(&mut self) {
        // SAFETY: this is the pin.
        unsafe { MmHead::unpin(self.head, self.pin) };
    }
}

#[cfg(all(test, unix, feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod tests {
    use super::*;
    use crate::{OwnedDomain, Region, Std};

    /// Pins are refused before one kind's count can run into the other's, and refusing changes
    /// nothing.
    #[test]
    fn pins_do_not_overflow() {
        let domain = OwnedDomain::new();
        let region = Region::<32>::new(1).unwrap();
        let head = MmHead::<2, 16, Std<'_, 32>>::new(&domain, region, (), |_| ());
        let pins = &head.counts.pins;
        for (pin, full) in [(Pin::Handle, 1 << 31 | 1 << 32), (Pin::Page, 1 << 63 | 1)] {
            pins.store(full, Ordering::Relaxed);
            assert_eq!(head.pin(pin), Err(AllocError));
            assert_eq!(pins.load(Ordering::Relaxed), full);
            pins.store(full - pin.unit(), Ordering::Relaxed);
            assert_eq!(head.pin(pin), Ok(()));
        }
    }
}
