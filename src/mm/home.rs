//! A page goes home.

use core::ptr::{self, NonNull};

use super::head::{MmHead, Pin};
use crate::{
    embed::{Embed, Hooks, PageSource, Rcu},
    page::{
        PageDesc,
        word::{Lookers, Step},
    },
    sync::{Ordering, fence},
};

/// Sends a page home, if that is what `step` says.
///
/// # Safety
/// The caller has just installed `step`, and holds no lock.
pub(super) unsafe fn go_home<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
    step: Step<FRAGS>,
) {
    if !step.release {
        return;
    }
    // Acquire pairs with the Release of every change of the word: all that others did to the page happens
    // before it goes back.
    fence(Ordering::Acquire);
    // SAFETY: the page has not been put back, and pins the head.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    // SAFETY: the page's pin is dropped below.
    let MmHead { rcu, source, hooks, .. } = unsafe { head.as_ref() };
    // SAFETY: descriptors are type-stable.
    let desc = unsafe { page.as_ref() };
    match step.lookers {
        // The page is off the list, so nobody finds it any more, and those who have are waited for by this
        // ticket's grace period. Relaxed: the page goes from hand to hand.
        Lookers::Own => desc.ticket.store(rcu.ticket(), Ordering::Relaxed),
        // SAFETY: nobody else knows the page, here and below.
        Lookers::None => unsafe { desc.set_mm(ptr::null()) },
        // SAFETY: as above.
        Lookers::Others => unsafe { desc.set_mm(PageDesc::OTHERS) },
    }
    // SAFETY: the page is of this source.
    hooks.page_out(unsafe { source.addr(page) });
    // SAFETY: nobody else knows the page, but by its word.
    unsafe { source.put(page) };
    // SAFETY: this was the page's pin.
    unsafe { MmHead::unpin(head, Pin::Page) };
}
