//! Fetching a page from the source, one thread of a lane at a time.

use core::{
    mem,
    ops::RangeInclusive,
    ptr::{self, NonNull},
};

use super::{
    free,
    head::{MmHead, Pin, Pinned},
    list,
};
use crate::{
    embed::{AllocError, Embed, Hooks, PageSource},
    page::{PageDesc, Pieces, mask::Mask, word::Word},
    sync::{AtomicU32, Backoff, Ordering, YIELDS, bound, fence},
};

/// So many pauses a taker waits for another that fetches a page, before it fetches one of its own: about
/// 0.2 ms. And so many for two of them, or before it says that there is none: about 15 ms, since a fetcher
/// may be waiting for its turn on a busy processor. It may also have been stopped, so nobody waits for
/// ever.
pub(super) const A_LITTLE: u32 = bound(if YIELDS { 500 } else { 16 }, 2);
pub(super) const LONG: u32 = bound(if YIELDS { 32_000 } else { 512 }, 4);

/// Pauses so far.
pub(super) struct Patience {
    backoff: Backoff,
    pauses: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(), pauses: 0 }
    }

    /// Whether there were so many.
    pub(super) fn is_over(&self, most: u32) -> bool {
        self.pauses >= most
    }

    fn pause(&mut self) {
        self.pauses += 1;
        self.backoff.snooze();
    }
}

/// A thread that fetches a page for a lane; dropped, also by a panic, it does not any more.
pub(super) struct Fetching<'m>(&'m AtomicU32);

impl<'m> Fetching<'m> {
    /// `None` if more than `most` others fetch a page for the lane, or one was listed meanwhile.
    pub(super) fn begin<const FRAGS: usize, const SIZE: usize, E: Embed>(
        head: &'m MmHead<FRAGS, SIZE, E>,
        lane: usize,
        most: u32,
    ) -> Option<Self> {
        let fetching = head.fetching(lane);
        let more = |fetching: u32| (fetching <= most).then(|| fetching + 1);
        let begun = fetching.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let begun = begun.is_ok().then(|| Self(fetching))?;
        // Who asks the source in vain, because of the page that this thread gets, sees that it is fetching: by the
        // fence in `are_fetching`.
        fence(Ordering::Release);
        head.first_in(lane).is_none().then_some(begun)
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        // Relaxed, here and below: whoever sees this and then gets the lock gets it after the fetcher, who had it to list
        // the page.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Whether somebody fetches a page for one of these lanes and has not listed it.
    fn is_fetching(&self, mut lanes: RangeInclusive<usize>) -> bool {
        lanes.any(|lane| self.fetching(lane).load(Ordering::Relaxed) != 0)
    }

    /// Whether somebody fetches a page for any lane, who may have got the page that the caller has asked for in vain.
    pub(super) fn are_fetching(&self) -> bool {
        fence(Ordering::Acquire);
        self.is_fetching(self.all_lanes())
    }

    /// Waits until nobody fetches a page for one of these lanes any more, or one is listed there, or there were so many
    /// pauses.
    pub(super) fn wait_for_fetchers(
        &self,
        lanes: &RangeInclusive<usize>,
        patience: &mut Patience,
        most: u32,
    ) {
        let nothing = || lanes.clone().all(|lane| self.first_in(lane).is_none());
        while self.is_fetching(lanes.clone()) && nothing() && !patience.is_over(most) {
            patience.pause();
        }
    }

    /// Fetches a page and gives all but one of its fragments back, which lists it.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    pub(super) unsafe fn take_fresh(
        head: NonNull<Self>,
        lane: usize,
    ) -> Result<(NonNull<PageDesc>, Mask), AllocError> {
        // SAFETY: passed on to the caller.
        let (page, addr) = unsafe { Self::fetch(head, lane) }?;
        let first = Mask::single(0);
        let mask = Word::<FRAGS>::ALL - first;
        // The list node, which is written under the lock: not there shall the system have to find memory for it.
        // SAFETY: all fragments are ours.
        let host = unsafe { addr.add((FRAGS - 1) * SIZE) };
        // SAFETY: as above.
        unsafe { list::write(host, E::Hooks::EMPTY_NODE.map(ptr::without_provenance_mut)) };
        // SAFETY: all fragments are ours, unseen, and one stays ours.
        unsafe { free::give_back::<FRAGS, SIZE, E>(Pieces { page, addr, mask }) };
        Ok((page, first))
    }

    /// Fetches a page whose fragments are all used, by the caller.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    pub(super) unsafe fn fetch(
        head: NonNull<Self>,
        lane: usize,
    ) -> Result<(NonNull<PageDesc>, NonNull<u8>), AllocError> {
        // SAFETY: the caller's pin keeps the head.
        let this = unsafe { head.as_ref() };
        let fetched = Fetched::from(this)?;
        let page = fetched.page;
        // SAFETY: just fetched.
        let addr = unsafe { this.source.addr(page) };
        // SAFETY: just fetched, and nobody has seen it.
        if unsafe { this.source.is_zeroed(page) } {
            this.hooks.page_in_zeroed(addr)?;
        } else {
            this.hooks.page_in(addr)?;
        }
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        let shown = this.may_show(desc);
        // SAFETY: nobody else knows the page yet.
        unsafe { desc.set_mm(head.as_ptr().cast()) };
        // Relaxed: who gets to the page through the list, or found it when this mm had it before, takes
        // from it only once it is listed, by a change that is Release; and the way through a fragment is
        // ordered as well.
        desc.word.store(Word::<FRAGS>::fresh(shown).in_lane(lane).bits(), Ordering::Relaxed);
        mem::forget(fetched);
        Ok((page, addr))
    }
}

/// A page on its way into an mm, with its pin; dropped, also by a panic in the hook, both go back.
struct Fetched<'m, const FRAGS: usize, const SIZE: usize, E: Embed> {
    head: &'m MmHead<FRAGS, SIZE, E>,
    page: NonNull<PageDesc>,
}

impl<'m, const FRAGS: usize, const SIZE: usize, E: Embed> Fetched<'m, FRAGS, SIZE, E> {
    fn from(head: &'m MmHead<FRAGS, SIZE, E>) -> Result<Self, AllocError> {
        let page = head.source.get()?;
        if let Err(error) = head.pin(Pin::Page) {
            // SAFETY: nobody has seen it.
            unsafe { head.source.put(page) };
            return Err(error);
        }
        Ok(Self { head, page })
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Fetched<'_, FRAGS, SIZE, E> {
    fn drop(&mut self) {
        // SAFETY: the page's pin, and not the last one: whoever takes has a handle.
        let pin = unsafe { Pinned::new(self.head.into(), Pin::Page) };
        // SAFETY: nobody has seen it.
        unsafe { pin.head().source.put(self.page) };
    }
}
