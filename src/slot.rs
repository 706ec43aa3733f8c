//! A published fragment: one owner, any number of readers.

use core::{
    fmt,
    ptr::{self, NonNull},
};

use crate::{
    embed::{Embed, PageSource, Rcu},
    frag::{Frag, Shown},
    mm::{
        Mm,
        head::{MmHead, Pin},
    },
    sync::{AtomicPtr, Ordering},
};

/// A pointer to at most one fragment, which readers follow inside a read-side section.
///
/// Whoever replaces or clears what it points to retires that, so a reader keeps what it has found
/// until its section ends. It may outlive its mm, whose head it pins. Dropping it clears it.
///
/// ```
/// # use ptfrag::{Domain, Mm, Region, Std};
/// let domain = Domain::global();
/// let mm = Mm::<16, 256, Std>::new_in(domain, Region::new(64)?, ());
/// let slot = mm.slot();
/// let mut frag = mm.alloc()?;
/// frag[..5].copy_from_slice(b"hello");
/// slot.publish(frag);
///
/// let guard = domain.read();
/// let seen = slot.load(&guard).expect("published above");
/// slot.clear();
/// assert_eq!(&seen[..5], b"hello"); // retired, and kept until `guard` is dropped
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Slot<const FRAGS: usize, const SIZE: usize, E: Embed> {
    head: NonNull<MmHead<FRAGS, SIZE, E>>,
    frag: AtomicPtr<u8>,
}

// SAFETY: the head is Sync and pinned; the pointer is atomic, and the bytes behind it are only read
// while they are published.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for Slot<FRAGS, SIZE, E> {}
// SAFETY: as above.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Sync for Slot<FRAGS, SIZE, E> {}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Mm<FRAGS, SIZE, E> {
    /// A place to publish fragments of this mm in.
    ///
    /// # Panics
    /// With 2^31 handles of one mm, which only leaked slots can reach.
    #[must_use]
    pub fn slot(&self) -> Slot<FRAGS, SIZE, E> {
        self.pin_handle();
        // SAFETY: the pin is the slot's.
        unsafe { Slot::new(self.head) }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Slot<FRAGS, SIZE, E> {
    /// # Safety
    /// The caller hands over a pin on the head.
    unsafe fn new(head: NonNull<MmHead<FRAGS, SIZE, E>>) -> Self {
        Self { head, frag: AtomicPtr::new(ptr::null_mut()) }
    }

    fn head(&self) -> &MmHead<FRAGS, SIZE, E> {
        // SAFETY: the slot pins the head.
        unsafe { self.head.as_ref() }
    }

    /// Shows `frag` to readers, and retires what they saw before.
    ///
    /// # Panics
    /// When `frag` belongs to another mm; it is given back there.
    #[inline]
    pub fn publish(&self, frag: Frag<FRAGS, SIZE, E>) {
        drop(self.replace(Some(frag)));
    }

    /// Shows readers nothing any more, and retires what they saw before.
    #[inline]
    pub fn clear(&self) {
        drop(self.replace(None));
    }

    /// What is published now. It stays readable until `guard` is dropped, even if it is retired
    /// meanwhile.
    ///
    /// # Panics
    /// When `guard` is of another RCU domain than the mm.
    #[must_use]
    #[inline]
    pub fn load<'g>(&self, guard: &'g <E::Rcu as Rcu>::Guard) -> Option<&'g [u8; SIZE]> {
        // SAFETY: initialised bytes that nobody writes before the grace period that `guard` holds
        // up.
        self.load_ptr(guard).map(|frag| unsafe { frag.cast().as_ref() })
    }

    /// [`load`](Self::load) for who knows what the bytes are.
    #[inline]
    pub(crate) fn load_ptr(&self, guard: &<E::Rcu as Rcu>::Guard) -> Option<NonNull<u8>> {
        assert!(
            self.head().rcu.covers(guard),
            "ptfrag: wrong guard: it does not hold up the grace periods of this mm's RCU domain"
        );
        // Acquire pairs with the Release in `replace`: who finds a fragment sees what was written
        // before it was published.
        NonNull::new(self.frag.load(Ordering::Acquire))
    }

    /// Whether it is a slot of the mm with this head.
    #[inline]
    pub(crate) fn is_of(&self, head: NonNull<MmHead<FRAGS, SIZE, E>>) -> bool {
        self.head == head
    }

    /// Whether it is a fragment of the slot's mm.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn owns(&self, frag: &Frag<FRAGS, SIZE, E>) -> bool {
        frag.is_of(self.head)
    }

    /// Shows readers `frag` or nothing, and answers with what they saw before.
    #[inline]
    pub(crate) fn replace(
        &self,
        frag: Option<Frag<FRAGS, SIZE, E>>,
    ) -> Option<Shown<FRAGS, SIZE, E>> {
        if let Some(frag) = &frag {
            // SAFETY: the token keeps its fragment used.
            unsafe { self.head().check_owner(&frag.pieces()) };
        }
        let new = frag.map_or(ptr::null_mut(), |frag| frag.into_raw().as_ptr());
        // Release publishes the new fragment's bytes. Acquire, so that its retirement comes after
        // all that its publisher did to the old one.
        self.shown(self.frag.swap(new, Ordering::AcqRel))
    }

    /// The same with a fragment of the slot's mm, if what they saw before is `seen`; else it comes back.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn replace_if(
        &self,
        seen: Option<NonNull<u8>>,
        frag: Option<Frag<FRAGS, SIZE, E>>,
    ) -> Result<Option<Shown<FRAGS, SIZE, E>>, Option<Frag<FRAGS, SIZE, E>>> {
        let seen = seen.map_or(ptr::null_mut(), NonNull::as_ptr);
        let new = frag.as_ref().map_or(ptr::null_mut(), |frag| frag.as_ptr().as_ptr());
        // The orderings of `replace`. Relaxed: nothing is done with what was found instead.
        match self.frag.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(old) => {
                let _published = frag.map(Frag::into_raw);
                Ok(self.shown(old))
            }
            Err(_) => Err(frag),
        }
    }

    /// What readers saw until now.
    #[inline]
    fn shown(&self, old: *mut u8) -> Option<Shown<FRAGS, SIZE, E>> {
        let old = NonNull::new(old)?;
        let Some(page) = self.head().source.desc(old) else {
            unreachable!("a published fragment lies in its source")
        };
        // SAFETY: the slot owned the fragment, and no reader finds it here any more.
        Some(Shown::new(unsafe { Frag::at(page, old) }))
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Slot<FRAGS, SIZE, E> {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: this was the slot's pin.
        unsafe { MmHead::unpin(self.head, Pin::Handle) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Slot<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:p})", self.frag.load(Ordering::Relaxed))
    }
}
