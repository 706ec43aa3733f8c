//! A page's RCU call: what comes before it, and who may still join it.

use core::ptr::NonNull;

use super::head::MmHead;
use crate::{
    embed::{Embed, Rcu},
    page::{PageDesc, word::Word},
    rcu_head::RcuFn,
    sync::{Ordering, fence},
};

/// Queues a page's RCU head with its mm's RCU.
///
/// What is retired until the grace period begins may join it: see [`joins`].
///
/// # Safety
/// The caller has just made a call necessary by its change of the page's word, which keeps the page
/// and its mm's head until the callback; nobody else queues the head.
pub(super) unsafe fn queue<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
    func: RcuFn,
) {
    // SAFETY: the page is out, kept by the call that is now due.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    // Acquire pairs with the Release of every change of the word before ours, so that all of them
    // happen before the call, and with it before the callback and every section that its grace
    // period does not wait for: the unpublishing of what was retired into X, and the last callback's
    // reading of this very head.
    fence(Ordering::Acquire);
    // The handle is copied out: from inside `call` on, the callback may free the mm's head.
    // SAFETY: the page pins the head.
    let rcu = unsafe { head.as_ref() }.rcu;
    // SAFETY: descriptors are type-stable.
    let PageDesc { word, ticket, .. } = unsafe { page.as_ref() };
    let last = ticket.load(Ordering::Relaxed);
    // On a page that is shown nobody is owed what was there before. A quiet page's waits for lookers, and
    // may be another domain's, or zero, of a domain that cannot tell: then it stays, and is never over.
    let is_shown = Word::<FRAGS>::from_bits(word.load(Ordering::Relaxed)).is_shown();
    if is_shown || last != 0 && rcu.gave(last) {
        // Release: whoever finds it finds the word that asked for this call, or a later one. So a ticket
        // is never that of a later call than the one that is joined.
        ticket.store(rcu.recent_ticket(), Ordering::Release);
    }
    // SAFETY: descriptors are type-stable.
    let rcu_head = unsafe { PageDesc::head(page) };
    // SAFETY: the head is idle and ours; `func` is the caller's concern.
    unsafe { rcu.call(rcu_head, func) };
}

/// Whether what is retired now may wait for the call that is in flight on its page: its grace period has
/// not begun.
///
/// # Safety
/// The page is out, belongs to an mm of this type, and something that the caller owns keeps it there.
pub(super) unsafe fn joins<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
) -> bool {
    // SAFETY: descriptors are type-stable.
    let desc = unsafe { page.as_ref() };
    // Acquire pairs with the Release in `queue`.
    let ticket = desc.ticket.load(Ordering::Acquire);
    // SAFETY: passed on to the caller.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    // SAFETY: the page pins it.
    let rcu = unsafe { head.as_ref() }.rcu;
    // It may be what another domain's mm has left there, whose tickets may be the same numbers.
    ticket != 0 && rcu.gave(ticket) && rcu.is_current(ticket)
}
