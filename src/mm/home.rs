//! A page goes home.

use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};

use super::head::{MmHead, Pin, Pinned};
use crate::{
    embed::{Embed, Hooks, PageSource, Rcu},
    page::{
        PageDesc,
        word::{Lookers, Step},
    },
    sync::{Ordering, fence},
};

/// Sends a page home, if that is what `step` says. The page goes also when the hook panics.
///
/// # Safety
/// The caller has just installed `step`, and holds no lock.
pub(super) unsafe fn go_home<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
    step: Step<FRAGS>,
) {
    let Some(lookers) = step.home else { return };
    // Acquire pairs with the Release of every change of the word: all that others did to the page happens
    // before it goes back.
    fence(Ordering::Acquire);
    // SAFETY: the page has not been put back, and pins the head.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    // SAFETY: the page's pin goes with `leaving`.
    let MmHead { rcu, source, hooks, .. } = unsafe { head.as_ref() };
    // SAFETY: descriptors are type-stable.
    let desc = unsafe { page.as_ref() };
    match lookers {
        // The page is off the list, so nobody finds it any more, and those who have are waited for by this
        // ticket's grace period. Relaxed: the page goes from hand to hand.
        Lookers::Own => desc.ticket.store(rcu.ticket(), Ordering::Relaxed),
        // SAFETY: nobody else knows the page, here and below.
        Lookers::None => unsafe { desc.set_mm(ptr::null()) },
        // SAFETY: as above.
        Lookers::Others => unsafe { desc.set_mm(PageDesc::OTHERS) },
    }
    // Only now: a page without its ticket stays out for good rather than go to another mm.
    let leaving = Leaving { page, head };
    // SAFETY: the page is of this source.
    hooks.page_out(unsafe { source.addr(page) });
    drop(leaving);
}

/// Sends pages home, one after the other; the rest also when a hook panics for one of them.
///
/// # Safety
/// As for [`go_home`], for each of them.
pub(super) unsafe fn go_home_all<const FRAGS: usize, const SIZE: usize, E: Embed>(
    pages: &[Option<(NonNull<PageDesc>, Step<FRAGS>)>],
) {
    drop(AllLeaving::<FRAGS, SIZE, E> { pages, embed: PhantomData });
}

/// A page that is on its way home, which this goes on with when it is dropped.
///
/// # Invariants
/// Nobody else knows the page, but by its word, and it pins the head.
struct Leaving<const FRAGS: usize, const SIZE: usize, E: Embed> {
    page: NonNull<PageDesc>,
    head: NonNull<MmHead<FRAGS, SIZE, E>>,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Leaving<FRAGS, SIZE, E> {
    fn drop(&mut self) {
        // SAFETY: the page's pin.
        let pin = unsafe { Pinned::new(self.head, Pin::Page) };
        // SAFETY: by the invariant.
        unsafe { pin.head().source.put(self.page) };
    }
}

/// Pages that are to go home when this is dropped.
struct AllLeaving<'a, const FRAGS: usize, const SIZE: usize, E: Embed> {
    pages: &'a [Option<(NonNull<PageDesc>, Step<FRAGS>)>],
    embed: PhantomData<E>,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for AllLeaving<'_, FRAGS, SIZE, E> {
    fn drop(&mut self) {
        let Some((&first, rest)) = self.pages.split_first() else { return };
        let _rest = Self { pages: rest, embed: PhantomData };
        if let Some((page, step)) = first {
            // SAFETY: by the contract of `go_home_all`, and each page is gone to once.
            unsafe { go_home::<FRAGS, SIZE, E>(page, step) };
        }
    }
}
