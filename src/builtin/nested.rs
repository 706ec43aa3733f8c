//! Pages that are fragments of larger ones.

use core::{fmt, ptr::NonNull};

use super::block::Block;
use crate::{
    embed::{AllocError, Embed, Hooks, NumberedSource, PageSource},
    mm::{Mm, apply::Wait, free},
    page::{PageDesc, Pieces},
    sync::{AtomicPtr, Ordering},
};

/// A page source whose pages are the fragments of a parent mm: so a page of 64 KiB gives 16 of 4 KiB, and each of these 16
/// of 256 bytes.
///
/// A page that comes back is given back to the parent, without waiting for its lock: if somebody holds that just then, or
/// the parent's hooks want to hear of what is [given back](Hooks::GIVES_BACK), it is retired there. So both mms have the
/// same RCU, or somebody runs the callbacks of both.
///
/// The parent stays as long as a handle of this does, and is dropped with the last one, which waits for its lock: possibly
/// in a callback, so where callbacks can interrupt a holder that lock has to keep them away.
///
/// Each fragment of the parent's source has 48 bytes here, on 64-bit machines, in memory of the program's allocator that on
/// most systems costs nothing before it is used.
///
/// ```
/// use ptfrag::{Domain, Embed, Mm, Nested, Region, SpinLock, Std};
///
/// type Large = Std<'static, 65536>;
///
/// struct Small;
/// impl Embed for Small {
///     type Rcu = &'static Domain;
///     type Source = Nested<16, 4096, Large>;
///     type Lock = SpinLock;
///     type Hooks = ();
/// }
///
/// let domain = Domain::global();
/// let region = Region::new(100)?;
/// let pages = Nested::new(Mm::<16, 4096, Large>::new(domain, region.clone()))?;
/// let mm = Mm::<16, 256, Small>::new_in(domain, pages, ());
/// let frags: Vec<_> = (0..256).map(|_| mm.alloc()).collect::<Result<_, _>>()?;
/// assert_eq!(region.pages_out(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Nested<const FRAGS: usize, const SIZE: usize, E: Embed> {
    parent: Mm<FRAGS, SIZE, E>,
    /// As many entries as the parent's source has fragments.
    entries: Block,
    count: usize,
}

/// A fragment of the parent's. All-zero bytes are a valid one.
#[repr(C)]
struct Entry {
    desc: PageDesc,
    /// Where it is, once it was out.
    addr: AtomicPtr<u8>,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed<Source: NumberedSource>>
    Nested<FRAGS, SIZE, E>
{
    /// The fragments of `parent` as pages.
    ///
    /// # Errors
    /// [`AllocError`] when there is no memory for their descriptors.
    pub fn new(parent: Mm<FRAGS, SIZE, E>) -> Result<Self, AllocError> {
        let count = parent.head().source.count().checked_mul(FRAGS).ok_or(AllocError)?;
        let entries = Block::zeroed(count, size_of::<Entry>(), align_of::<Entry>())?;
        Ok(Self { parent, entries, count })
    }

    /// The mm of which these pages are fragments.
    #[must_use]
    pub fn parent(&self) -> &Mm<FRAGS, SIZE, E> {
        &self.parent
    }
}

/// The entry of a page.
///
/// # Safety
/// The page is of a source that lives.
unsafe fn entry<'a>(page: NonNull<PageDesc>) -> &'a Entry {
    // SAFETY: the pointer came from that to all of the entry.
    unsafe { page.cast().as_ref() }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed<Source: NumberedSource>>
    Nested<FRAGS, SIZE, E>
{
    /// The page that is the fragment in which an address lies.
    fn page(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        let source = &self.parent.head().source;
        let number = source.number(source.desc(addr)?);
        // Pages are aligned to their size.
        let index = addr.addr().get() / SIZE % FRAGS;
        let nth = number * FRAGS + index;
        assert!(nth < self.count, "ptfrag: a source has more pages than it says");
        // SAFETY: there are so many, and the descriptor comes first in each.
        Some(unsafe { self.entries.at().cast::<Entry>().add(nth) }.cast())
    }
}

// SAFETY: a page is a fragment of the parent's, aligned to its size and initialised, from its allocation until it is given
// back or retired. Each has an entry, in place as long as the source; the word in there is never written here, and what
// is of the parent orders a `put` before the `get` that follows. `put` at most tries the parent's lock.
unsafe impl<const FRAGS: usize, const SIZE: usize, E> PageSource for Nested<FRAGS, SIZE, E>
where
    E: Embed<Source: NumberedSource, Rcu: 'static> + 'static,
{
    const PAGE_SIZE: usize = SIZE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let addr = self.parent.alloc()?.into_raw();
        let Some(page) = self.page(addr) else { unreachable!("a fragment lies in its source") };
        // SAFETY: just found.
        let entry = unsafe { entry(page) };
        // Relaxed: who asks for the address has the page from whoever got it.
        entry.addr.store(addr.as_ptr(), Ordering::Relaxed);
        Ok(page)
    }

    fn is_scarce(&self) -> bool {
        self.parent.head().source.is_scarce()
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        // SAFETY: passed on to the caller.
        let addr = unsafe { self.addr(page) };
        let Some(of) = self.parent.head().source.desc(addr) else {
            unreachable!("a fragment lies in its source")
        };
        let pieces = Pieces::at::<FRAGS, SIZE>(of, addr);
        // A hook that is called before it is given back could not be taken back, if that fails.
        let given_back = !E::Hooks::GIVES_BACK
            // SAFETY: the fragment was let go by `get`, and nobody has the page any more.
            && unsafe { free::try_give_back::<FRAGS, SIZE, E>(pieces, Wait::Never) };
        if !given_back {
            // SAFETY: as above; nothing has changed.
            unsafe { free::retire::<FRAGS, SIZE, E>(pieces) };
        }
    }

    #[inline]
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.page(addr)
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: a page of this source is in an entry.
        let entry = unsafe { entry(page) };
        let addr = entry.addr.load(Ordering::Relaxed);
        // SAFETY: `get` has stored it.
        unsafe { NonNull::new_unchecked(addr) }
    }
}

// SAFETY: each fragment has its place among the entries.
unsafe impl<const FRAGS: usize, const SIZE: usize, E> NumberedSource for Nested<FRAGS, SIZE, E>
where
    E: Embed<Source: NumberedSource, Rcu: 'static> + 'static,
{
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.entries.at().addr().get()) / size_of::<Entry>()
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Nested<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nested").field(&self.parent).finish()
    }
}
