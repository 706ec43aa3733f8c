//! The fragment token.

mod origin;
mod shown;

use core::{
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};

pub(crate) use self::shown::Shown;
use crate::{
    embed::{Embed, Hooks},
    mm::{batch::Batch, free, head::MmHead, locate::check_used},
    page::{PageDesc, Pieces},
};

/// A fragment that nobody else has: `SIZE` bytes, aligned to `SIZE`.
///
/// It came from [`Mm::alloc`](crate::Mm::alloc), cannot be copied, and may outlive its mm. As long
/// as only its owner knows it, it can be written, and dropping it gives it back. To show it to
/// readers, publish it through a [`Slot`](crate::Slot), or by hand with
/// [`into_raw`](Self::into_raw). `mem::forget` leaks its page and its mm's head, and what that holds:
/// the handle of the source, so that a [`Region`](crate::Region) with one such fragment stays mapped.
///
/// The bytes are what the last user left, or [`Hooks::reclaim`](crate::Hooks::reclaim); nothing clears
/// them. Only the first two words may have held a list node since: they are
/// [`Hooks::EMPTY_NODE`](crate::Hooks::EMPTY_NODE) then, zeros. With [`Zeroed`](crate::Zeroed) as hooks all
/// bytes are zero.
///
/// ```
/// # use ptfrag::{Mm, OwnedDomain, Region};
/// let domain = OwnedDomain::new();
/// let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(1)?);
/// let frag = mm.alloc()?;
/// frag.retire();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is freed once, and before its domain goes; neither of these compiles in place of the last
/// line:
///
/// ```compile_fail,E0382
/// # use ptfrag::{Mm, OwnedDomain, Region};
/// # let domain = OwnedDomain::new();
/// # let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(1)?);
/// # let frag = mm.alloc()?;
/// frag.retire();
/// frag.give_back();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// ```compile_fail,E0505
/// # use ptfrag::{Mm, OwnedDomain, Region};
/// # let domain = OwnedDomain::new();
/// # let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(1)?);
/// # let frag = mm.alloc()?;
/// drop(mm);
/// drop(domain);
/// frag.retire();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nor does a token pass for one that may live longer, which would be the same in disguise:
///
/// ```compile_fail
/// # use ptfrag::{Frag, Std};
/// fn longer<'d>(frag: Frag<16, 256, Std<'d>>) -> Frag<16, 256, Std<'static>> {
///     frag
/// }
/// ```
#[must_use = "a fragment that is dropped goes back to its page at once"]
pub struct Frag<const FRAGS: usize, const SIZE: usize, E: Embed> {
    addr: NonNull<u8>,
    page: NonNull<PageDesc>,
    // Invariant in `E`: a token of one embedding must not pass for one of another.
    mm: PhantomData<fn(E) -> E>,
}

// SAFETY: the token owns its bytes, and what it shares with others is the page word.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for Frag<FRAGS, SIZE, E> {}
// SAFETY: a shared token only lets its bytes be read.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Sync for Frag<FRAGS, SIZE, E> {}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Frag<FRAGS, SIZE, E> {
    /// The token of the fragment at `addr`.
    ///
    /// # Safety
    /// It is a used fragment of `page`, which belongs to an mm of this type, and there is no other
    /// token for it.
    #[inline]
    pub(crate) unsafe fn at(page: NonNull<PageDesc>, addr: NonNull<u8>) -> Self {
        Self { addr, page, mm: PhantomData }
    }

    /// The first byte.
    ///
    /// Whoever writes through the pointer leaves the bytes initialised (padding is not) before the
    /// token is looked into or published, and before it is freed or retired: the next owner may read them. (An mm whose
    /// fragments nobody looks into before having written them does without the latter if its hooks clear every page on its
    /// way [home](crate::Hooks::page_out), as those of a [`Pool`](crate::Pool) do.)
    #[must_use]
    #[inline]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.addr
    }

    /// Lets the token go; the fragment stays used until the pointer is handed to
    /// [`Mm::retire_raw`](crate::Mm::retire_raw) or [`Mm::from_raw`](crate::Mm::from_raw), to
    /// [`Local::retire_raw`](crate::Local::retire_raw), or without the mm to
    /// [`Frag::retire_raw`](Self::retire_raw) or [`Frag::from_raw`](Self::from_raw).
    #[must_use = "the fragment leaks unless the pointer is retired or turned back into a token"]
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).addr
    }

    /// Has the fragment freed after a grace period. One compare-and-swap on the page word, and at
    /// most one [`Rcu::call`](crate::Rcu::call); never the lock, never an allocation.
    #[inline]
    pub fn retire(self) {
        drop(Shown::new(self));
    }

    /// Frees the fragment at once, as dropping it does: for one that no reader has seen. Takes the
    /// mm's lock if the page had nothing free before, or is all free now.
    #[inline]
    pub fn give_back(self) {
        drop(self);
    }

    /// Retires many. Those that lie on the same page share one compare-and-swap, unless more than 16 pages
    /// come between them.
    pub fn retire_all(frags: impl IntoIterator<Item = Self>) {
        // SAFETY: the tokens own the fragments, and are consumed.
        unsafe { Batch::<true, FRAGS, SIZE, E>::free(frags.into_iter().map(Self::into_pieces)) };
    }

    /// Gives back many. Those that lie on the same page share one compare-and-swap, unless more than 16
    /// pages come between them, and where pages go on their mm's list or leave it, 16 share one hold of the
    /// lock.
    pub fn give_back_all(frags: impl IntoIterator<Item = Self>) {
        let pieces = frags.into_iter().map(|frag| {
            let frag = ManuallyDrop::new(frag);
            frag.call_hook();
            frag.pieces()
        });
        // SAFETY: the tokens own the fragments, and are consumed.
        unsafe { Batch::<false, FRAGS, SIZE, E>::free(pieces) };
    }

    /// The fragment as the free paths take it.
    #[inline]
    pub(crate) fn pieces(&self) -> Pieces {
        Pieces::at::<FRAGS, SIZE>(self.page, self.addr)
    }

    /// Calls the hook of whoever gives the fragment back.
    ///
    /// # Panics
    /// When it is not used.
    #[inline]
    pub(crate) fn call_hook(&self) {
        if !E::Hooks::GIVES_BACK {
            return;
        }
        check_used::<FRAGS>(&self.pieces());
        // SAFETY: a used fragment keeps its page out.
        let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(self.page) };
        // SAFETY: the page pins its mm's head.
        unsafe { head.as_ref() }.hooks.give_back(self.addr);
    }

    /// Whether it is a fragment of the mm with this head.
    #[inline]
    pub(crate) fn is_of(&self, head: NonNull<MmHead<FRAGS, SIZE, E>>) -> bool {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { self.page.as_ref() };
        // SAFETY: a used fragment keeps its page out.
        ptr::addr_eq(unsafe { desc.mm() }, head.as_ptr())
    }

    /// Lets the token go: its page and its address.
    #[inline]
    pub(crate) fn into_parts(self) -> (NonNull<PageDesc>, NonNull<u8>) {
        let frag = ManuallyDrop::new(self);
        (frag.page, frag.addr)
    }

    /// Lets the token go.
    pub(crate) fn into_pieces(self) -> Pieces {
        ManuallyDrop::new(self).pieces()
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Frag<FRAGS, SIZE, E> {
    #[inline]
    fn drop(&mut self) {
        self.call_hook();
        // SAFETY: the token owned the fragment, and nobody else has seen it.
        unsafe { free::give_back::<FRAGS, SIZE, E>(self.pieces()) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Deref for Frag<FRAGS, SIZE, E> {
    type Target = [u8; SIZE];

    #[inline]
    fn deref(&self) -> &[u8; SIZE] {
        // SAFETY: `SIZE` initialised bytes of the token's.
        unsafe { self.addr.cast().as_ref() }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> DerefMut for Frag<FRAGS, SIZE, E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8; SIZE] {
        // SAFETY: `SIZE` initialised bytes of the token's, which nobody else knows.
        unsafe { self.addr.cast().as_mut() }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Frag<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frag({:p})", self.addr)
    }
}
