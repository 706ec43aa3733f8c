//! The mm: one pool of pages, as one address space has, and what it does with them.
//!
//! [`Mm`] is the owner's view. What its pages keep alive is the [`head`]; a fragment is [taken](take)
//! and comes back ([`free`], [`batch`]) by [changes](apply) of its page's word, with which the page
//! goes on the [`list`] or leaves it.

pub(crate) mod apply;
pub(crate) mod batch;
#[cfg(feature = "alloc")]
pub(crate) mod boxed;
mod call;
mod callback;
mod close;
mod fetch;
pub(crate) mod free;
pub(crate) mod head;
mod home;
pub(crate) mod lanes;
mod list;
pub(crate) mod locate;
pub(crate) mod misuse;
mod other_lanes;
pub(crate) mod passed;
mod places;
mod show;
mod shrink;
mod take;
mod waiting;

use core::{
    fmt,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

use self::{
    head::{MmHead, Pin, Pinned},
    lanes::{Lane, Lanes},
};
use crate::{
    embed::{Embed, PageSource},
    page::word::Word,
    sync::Ordering,
};

/// One pool of pages, each split into `FRAGS` fragments of `SIZE` bytes.
///
/// It can be shared between threads by reference. Dropping it closes it: that never waits, neither
/// for fragments that are still out nor for grace periods. Pages go home as their fragments do, and
/// the last one takes the mm's head with it.
///
/// `FRAGS` is a power of two from 2 to 16, `SIZE` a power of two with room for two pointers, and
/// together they make up a page of the source:
///
/// ```
/// # use ptfrag::{Domain, Mm, Region};
/// let region = Region::<4096>::new(1)?;
/// let mm = Mm::<16, 256, _>::new(Domain::global(), region);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Anything else does not compile, such as more fragments, or fragments that leave a part of the
/// page:
///
/// ```compile_fail,E0080
/// # use ptfrag::{Domain, Mm, Region};
/// let region = Region::<4096>::new(1)?;
/// let mm = Mm::<32, 128, _>::new(Domain::global(), region);
/// # Ok::<(), std::io::Error>(())
/// ```
/// ```compile_fail,E0080
/// # use ptfrag::{Domain, Mm, Region};
/// let region = Region::<4096>::new(1)?;
/// let mm = Mm::<8, 256, _>::new(Domain::global(), region);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Mm<const FRAGS: usize, const SIZE: usize, E: Embed> {
    pub(crate) head: NonNull<MmHead<FRAGS, SIZE, E>>,
}

// SAFETY: the head is Sync, and the handle's pin keeps it.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for Mm<FRAGS, SIZE, E> {}
// SAFETY: as above.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Sync for Mm<FRAGS, SIZE, E> {}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Mm<FRAGS, SIZE, E> {
    /// An mm without pages, its head in a `Box`.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn new_in(rcu: E::Rcu, source: E::Source, hooks: E::Hooks) -> Self {
        let (place, free_box) = boxed::place();
        // SAFETY: the box is ours, and stays allocated until it is disposed of.
        unsafe { Self::new_at(place, free_box, rcu, source, hooks) }
    }

    /// An mm without pages, its head at `place`.
    ///
    /// When the last handle and the last page are gone, the head is dropped in place and `dispose`
    /// is called with it, once: on any thread, possibly inside an RCU callback, so it does not
    /// wait.
    ///
    /// # Safety
    /// `place` is aligned, writable, and nobody else's until `dispose` is called.
    #[must_use]
    pub unsafe fn new_at(
        place: NonNull<MaybeUninit<MmHead<FRAGS, SIZE, E>>>,
        dispose: unsafe fn(NonNull<MmHead<FRAGS, SIZE, E>>),
        rcu: E::Rcu,
        source: E::Source,
        hooks: E::Hooks,
    ) -> Self {
        let head = place.cast();
        // SAFETY: the place is ours.
        unsafe { head.write(MmHead::new(rcu, source, hooks, dispose)) };
        Self { head }
    }

    /// Has the mm keep up to `pages` pages that are empty, however many others are in use. Without this it
    /// keeps none: an mm that is emptied and filled again and again draws a page each time.
    ///
    /// ```
    /// use ptfrag::{Domain, Mm, Region};
    ///
    /// let region = Region::<4096>::new(100)?;
    /// let mm = Mm::<16, 256, _>::new(Domain::global(), region.clone()).keeping(2);
    /// (0..1000).for_each(|_| drop(mm.alloc()));
    /// assert_eq!(region.pages_taken(), 1);
    /// assert_eq!(mm.shrink(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// When the mm has pages, slots or other handles already.
    #[must_use]
    pub fn keeping(self, pages: u32) -> Self {
        self.head_before_use().keep.with_mut(|keep| {
            // SAFETY: nobody else uses the head.
            unsafe { *keep = pages };
        });
        self
    }

    /// Gives the mm so many lanes, a power of two up to 128: lists of pages with a lock each. Each thread or
    /// processor, as the RCU [tells](crate::Rcu::lane) them apart, takes from the pages in its own with
    /// [`alloc`](Self::alloc), and as long as it finds some there shares no cache line with takers in others.
    /// Without this all threads take from the same page. Takers through [handles](crate::Local) need no lanes.
    ///
    /// Who finds none looks at eight other lanes, each time at the next ones, and takes from one that nobody takes
    /// from just then, or that has more than eight pages; before an allocation fails, from any. Else it asks the
    /// source, though another lane has a page that is in use. So up to eight pages for each lane can be out that
    /// one lane would not need. A lane costs 256 bytes on most machines.
    ///
    /// ```
    /// use ptfrag::{Domain, Mm, Region};
    ///
    /// let processors = std::thread::available_parallelism()?.get().next_power_of_two().min(128);
    /// let mm = Mm::<16, 256, _>::new(Domain::global(), Region::<4096>::new(1000)?).lanes(processors);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// When the number is none of these, the mm has lanes, or it has pages, slots or other handles already.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn lanes(self, count: usize) -> Self {
        Lanes::<FRAGS, E>::check(count);
        self.head_before_use().lanes.check_none();
        if count == 1 {
            return self;
        }
        let (lanes, free) = boxed::lanes(count);
        // SAFETY: the box is ours, and stays allocated until it is freed.
        unsafe { self.lanes_at(lanes, free) }
    }

    /// The same with lanes of the caller's. When the head is dropped, before its source and its hooks are and before
    /// it is disposed of, `free` is called with them, once: on any thread, possibly inside an RCU callback, so it does not
    /// wait. Nothing is left in them then, and they may be given to another mm.
    ///
    /// # Panics
    /// As [`lanes`](Self::lanes); `free` is not called then.
    ///
    /// # Safety
    /// They are [new](Lane::new) or came from `free`, and stay where they are and nobody else's until `free` is called.
    #[must_use]
    pub unsafe fn lanes_at(
        self,
        lanes: NonNull<[Lane<FRAGS, E>]>,
        free: unsafe fn(NonNull<[Lane<FRAGS, E>]>),
    ) -> Self {
        Lanes::<FRAGS, E>::check(lanes.len());
        // SAFETY: so many are possible, and the rest is passed on to the caller.
        unsafe { self.head_before_use().lanes.give(lanes, free) };
        self
    }

    /// The head of an mm that nobody else has used.
    fn head_before_use(&self) -> &MmHead<FRAGS, SIZE, E> {
        // SAFETY: the callers have the handle by value.
        let alone = unsafe { MmHead::is_alone(self.head) };
        assert!(
            alone,
            "ptfrag: what an mm keeps, and how many lanes it has, is set before it is used"
        );
        self.head()
    }

    /// Sends the empty pages home that the mm [keeps](Self::keeping), and says how many there were.
    /// Takes the lock for 16 of them at a time, and no longer than it takes to look at 64 pages of a
    /// list, each of which is gone through once unless another `shrink` begins meanwhile. While others change the list, some can be missed.
    pub fn shrink(&self) -> usize {
        self.head().shrink()
    }

    /// Lets the handle go as a pointer, for a structure of C to hold.
    #[must_use = "the mm leaks unless the pointer is turned back into it"]
    pub fn into_ptr(self) -> NonNull<MmHead<FRAGS, SIZE, E>> {
        ManuallyDrop::new(self).head
    }

    /// The handle that [`into_ptr`](Self::into_ptr) let go.
    ///
    /// Whoever only uses it for a moment wraps it, so that it is not dropped:
    /// `ManuallyDrop::new(unsafe { Mm::from_ptr(pointer) }).alloc()`.
    ///
    /// # Safety
    /// The pointer came from `into_ptr` of an mm of this very type, and no other handle that was made of
    /// it is dropped, then or later. Not dropped, several can be used at the same time, by any thread,
    /// until one of them is; but [`keeping`](Self::keeping) and [`lanes`](Self::lanes) take the only one that
    /// there is.
    #[must_use]
    pub unsafe fn from_ptr(head: NonNull<MmHead<FRAGS, SIZE, E>>) -> Self {
        Self { head }
    }

    pub(crate) fn head(&self) -> &MmHead<FRAGS, SIZE, E> {
        // SAFETY: the handle pins the head.
        unsafe { self.head.as_ref() }
    }

    /// Pins the head for a handle that is going to be made.
    pub(crate) fn pin_handle(&self) {
        assert!(self.head().pin(Pin::Handle).is_ok(), "ptfrag: too many handles of one mm");
    }

    /// Pages that are out of the source for this mm, those of which all that is not free waits for a
    /// grace period included.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.head().pages()
    }

    /// Closes the mm early: every later [`alloc`](Self::alloc) that would need the list fails, and
    /// pages go home as soon as their fragments have. Closing twice is harmless.
    pub fn close(&self) {
        self.head().close();
    }

    /// Retires a fragment that [`Frag::into_raw`](crate::Frag::into_raw) let go.
    ///
    /// # Panics
    /// When `frag` is not the start of a used fragment of this mm; nothing has changed then. A
    /// fragment that was freed and has been handed out again cannot be told from one that was not.
    ///
    /// # Safety
    /// The caller owns the fragment, no reader finds it any more, and its bytes are initialised where
    /// [`Frag::as_ptr`](crate::Frag::as_ptr) asks for it. (A value with padding leaves uninitialised bytes; copy it
    /// bytewise.)
    pub unsafe fn retire_raw(&self, frag: NonNull<u8>) {
        let pieces = self.head().locate(frag);
        // SAFETY: passed on to the caller.
        unsafe { free::retire::<FRAGS, SIZE, E>(pieces) };
    }

    /// The word of the page in which `addr` lies, for debugging; `None` if none of the source's
    /// pages does. It may be out of date by the time it is returned.
    #[must_use]
    pub fn page_word(&self, addr: NonNull<u8>) -> Option<Word<FRAGS>> {
        let page = self.head().source.desc(addr)?;
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        Some(Word::from_bits(word.load(Ordering::Relaxed)))
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Mm<FRAGS, SIZE, E> {
    fn drop(&mut self) {
        // SAFETY: the handle's pin.
        let _pin = unsafe { Pinned::new(self.head, Pin::Handle) };
        self.close();
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Mm<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mm({FRAGS} x {SIZE} bytes, {} pages)", self.pages())
    }
}
