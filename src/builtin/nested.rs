//! Pages that are fragments of larger ones.

use core::{
    alloc::Layout,
    fmt,
    ptr::{self, NonNull},
};

use alloc::{alloc::alloc_zeroed, boxed::Box};

use crate::{
    embed::{AllocError, Embed, Hooks, NumberedSource, PageSource},
    mm::{Mm, apply::Wait, free},
    page::{PageDesc, Pieces},
    sync::{AtomicPtr, Ordering},
};

/// A page source whose pages are the fragments of a parent mm: so a page of 64 KiB gives 16 of 4 KiB, and each of these 16
/// of 256 bytes.
///
/// A page that comes back is given back to the parent, or retired there if somebody holds the lock that this needs just then,
/// or the parent's hooks want to hear of what is [given back](Hooks::GIVES_BACK): callbacks never wait. Each fragment of the parent's source has 48 bytes here, in memory of the program's
/// allocator that costs nothing before it is used, on most systems. The parent stays as long as a handle of this does.
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
    /// As many as the parent's source has fragments.
    pages: Box<[Entry]>,
}

/// A fragment of the parent's. All-zero bytes are a valid one.
#[repr(C)]
struct Entry {
    desc: PageDesc,
    /// Where it is, once it was out.
    addr: AtomicPtr<u8>,
}

impl Entry {
    /// A pointer to the descriptor that leads back to all of the entry, of which it is the first field.
    fn page(&self) -> NonNull<PageDesc> {
        NonNull::from(self).cast()
    }
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
        let pages = entries(count)?;
        Ok(Self { parent, pages })
    }

    /// The mm of which these pages are fragments.
    #[must_use]
    pub fn parent(&self) -> &Mm<FRAGS, SIZE, E> {
        &self.parent
    }
}

/// Zeroed ones, of which only what is used is ever written: so the system need not find memory for the rest.
fn entries(count: usize) -> Result<Box<[Entry]>, AllocError> {
    if count == 0 {
        return Ok(Box::new([]));
    }
    let layout = Layout::array::<Entry>(count).map_err(|_| AllocError)?;
    // SAFETY: the layout is not empty.
    let at = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(AllocError)?;
    let all = ptr::slice_from_raw_parts_mut(at.cast::<Entry>().as_ptr(), count);
    // SAFETY: allocated as such a box is, and zeros are entries.
    Ok(unsafe { Box::from_raw(all) })
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed<Source: NumberedSource>>
    Nested<FRAGS, SIZE, E>
{
    /// The entry of the fragment in which an address lies.
    fn entry(&self, addr: NonNull<u8>) -> Option<&Entry> {
        let source = &self.parent.head().source;
        let number = source.number(source.desc(addr)?);
        // Pages are aligned to their size.
        let index = addr.addr().get() / SIZE % FRAGS;
        Some(&self.pages[number * FRAGS + index])
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
        let Some(entry) = self.entry(addr) else { unreachable!("a fragment lies in its source") };
        // Relaxed: who asks for the address has the page from whoever got it.
        entry.addr.store(addr.as_ptr(), Ordering::Relaxed);
        Ok(entry.page())
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
        self.entry(addr).map(Entry::page)
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: a page of this source is in an entry.
        let entry = unsafe { page.cast::<Entry>().as_ref() };
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
        self.pages.len()
    }

    fn number(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.pages.as_ptr().addr()) / size_of::<Entry>()
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Nested<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nested").field(&self.parent).finish()
    }
}
