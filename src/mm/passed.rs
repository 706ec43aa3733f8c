//! What one handle of an mm passes on to the others: one chain of fragments at a time.
//!
//! A thread that gives back what another one allocates would otherwise return it to the pages, fragment by
//! fragment, for the other to claim again. The links lie in the fragments, in the two words that a list node
//! may take: the next fragment, and that mixed with the page, so that a link which somebody overwrote (a use
//! after free) is found before it is followed.
//!
//! To everybody else the fragments are used. An allocation that finds the source empty takes the chain, too. Each handle takes the chain back when it lets go of what it
//! holds, after the last that it has passed on itself; so none is left when the last handle is gone.

use core::ptr::{self, NonNull};

use super::{batch::Batch, head::MmHead, list, misuse::bad_link};
use crate::{
    embed::{Embed, Hooks, PageSource},
    frag::Frag,
    insist::insist,
    page::{PageDesc, Pieces, mask::Mask},
    sync::{AtomicPtr, Ordering},
};

/// The first fragment of the chain, if there is one.
pub(super) struct Passed(AtomicPtr<u8>);

impl Passed {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

/// A chain that the caller owns. What is in it when it is dropped goes to its pages.
pub(crate) struct Chain<'m, const FRAGS: usize, const SIZE: usize, E: Embed> {
    head: &'m MmHead<FRAGS, SIZE, E>,
    first: *mut u8,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Whether a chain waits to be taken; it may have gone, or come, by now.
    pub(crate) fn has_passed(&self) -> bool {
        // Relaxed: a hint, or else the caller's own last store.
        !self.passed.0.load(Ordering::Relaxed).is_null()
    }

    /// Takes the chain that waits.
    pub(crate) fn take_passed(&self) -> Chain<'_, FRAGS, SIZE, E> {
        let first = if self.has_passed() {
            // Acquire pairs with the Release in `pass`: the fragments' last uses happen before the next.
            self.passed.0.swap(ptr::null_mut(), Ordering::Acquire)
        } else {
            ptr::null_mut()
        };
        Chain { head: self, first }
    }

    /// One fragment of the chain that waits, as its page and its bit: used, and the caller's. The others go to
    /// their pages.
    pub(super) fn take_one_passed(&self) -> Option<(NonNull<PageDesc>, Mask)> {
        let mut chain = self.take_passed();
        let one = chain.next()?;
        // While `one` is a token: a hook may panic.
        drop(chain);
        let Pieces { page, mask, .. } = one.into_pieces();
        Some((page, mask))
    }

    /// An empty chain.
    pub(crate) fn chain(&self) -> Chain<'_, FRAGS, SIZE, E> {
        Chain { head: self, first: ptr::null_mut() }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Chain<'_, FRAGS, SIZE, E> {
    /// Puts a fragment in front, which is of the chain's mm.
    pub(crate) fn push(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        let (page, addr) = frag.into_parts();
        // SAFETY: the token owned the fragment, and is gone.
        unsafe { list::write(addr, [self.first, mixed(self.first, page)]) };
        self.first = addr.as_ptr();
    }

    /// Has another handle take it, unless one waits already.
    pub(crate) fn pass(mut self) {
        let (set, seen) = (Ordering::Release, Ordering::Relaxed);
        // Release: all that was done to the fragments happens before another handle has them.
        let passed =
            self.head.passed.0.compare_exchange(ptr::null_mut(), self.first, set, seen).is_ok();
        if passed {
            self.first = ptr::null_mut();
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Iterator for Chain<'_, FRAGS, SIZE, E> {
    type Item = Frag<FRAGS, SIZE, E>;

    /// Takes off the first, and wipes its links.
    ///
    /// # Panics
    /// When its node was overwritten.
    #[inline]
    fn next(&mut self) -> Option<Frag<FRAGS, SIZE, E>> {
        let addr = NonNull::new(self.first)?;
        // SAFETY: the chain is the caller's, and this fragment is in it.
        let [next, check] = unsafe { list::read(addr) };
        let source = &self.head.source;
        let page = source.desc(addr).expect("a link that was confirmed leads into a page");
        if mixed(next, page) != check {
            // What is behind it is lost.
            self.first = ptr::null_mut();
            bad_link::<FRAGS, E::Source>(source, page);
        }
        self.first = next;
        // SAFETY: as above; nothing of ours is left in the fragment.
        unsafe { list::write(addr, E::Hooks::EMPTY_NODE.map(ptr::without_provenance_mut)) };
        // SAFETY: a fragment in the chain is used, of this mm, and its token was let go.
        Some(unsafe { Frag::at(page, addr) })
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Chain<'_, FRAGS, SIZE, E> {
    fn drop(&mut self) {
        if !self.first.is_null() {
            insist(self, |rest| {
                // SAFETY: the tokens own the fragments, and are consumed.
                unsafe {
                    Batch::<false, FRAGS, SIZE, E>::free(rest.by_ref().map(Frag::into_pieces))
                };
            });
        }
    }
}

/// What stands behind the link to `next` in a fragment of `page`.
fn mixed(next: *mut u8, page: NonNull<PageDesc>) -> *mut u8 {
    ptr::without_provenance_mut(next.addr() ^ page.addr().get())
}
