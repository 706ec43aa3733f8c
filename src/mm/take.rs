//! Taking a fragment: from the first listed page without the lock, else with it, else from a fresh
//! page.

use core::ptr::NonNull;

use super::{
    fetch::{A_LITTLE, Fetching, LONG, Patience},
    head::MmHead,
    list::BadLink,
    misuse::bad_link,
};
use crate::{
    embed::{AllocError, Embed, PageSource, Rcu},
    page::{PageDesc, mask::Mask, word::Word},
    sync::{AtomicU64, Ordering},
};

/// A fragment, by its page and its index there.
pub(crate) type Taken = (NonNull<PageDesc>, usize);

/// Changes the word in the taker's favour; gives what stands there instead if it has changed.
///
/// Acquire pairs with the Release of whoever freed the fragment: its last user's accesses happen
/// before ours.
#[inline]
fn claim<const N: usize>(word: &AtomicU64, now: u64, taken: Word<N>) -> Result<(), u64> {
    word.compare_exchange_weak(now, taken.bits(), Ordering::Acquire, Ordering::Relaxed).map(drop)
}

/// Answers with a listed word's successor and what is taken by it.
pub(super) type Take<const N: usize> = fn(Word<N>) -> Option<(Word<N>, Mask)>;

/// What the lists gave.
pub(super) enum Locked {
    Taken(NonNull<PageDesc>, Mask),
    Empty,
    Closed,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Takes one fragment.
    ///
    /// # Errors
    /// [`AllocError`] when the source has no page, the hooks refuse it, or the mm is closed.
    ///
    /// # Safety
    /// The caller has a pin, and `head` is the pointer that the head may be disposed of through.
    #[inline]
    pub(crate) unsafe fn take(head: NonNull<Self>) -> Result<Taken, AllocError> {
        // SAFETY: the caller's pin keeps the head.
        let this = unsafe { head.as_ref() };
        match this.take_first() {
            Ok(taken) => Ok(taken),
            // SAFETY: passed on to the caller.
            Err(lane) => unsafe { Self::take_one_slowly(head, lane) },
        }
    }

    /// Takes one fragment under the lock, the host too when nothing else is left, or of a fresh
    /// page.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    #[cold]
    unsafe fn take_one_slowly(head: NonNull<Self>, lane: usize) -> Result<Taken, AllocError> {
        let one = |listed: Word<FRAGS>| match listed.take() {
            Some((taken, index)) => Some((taken, Mask::single(index))),
            None => listed.take_all(),
        };
        // SAFETY: passed on to the caller.
        let fresh = |head| unsafe { Self::take_fresh(head, lane) };
        // SAFETY: as above.
        let (page, mask) = unsafe { Self::take_slowly(head, lane, true, one, fresh) }?;
        Ok((page, mask.lowest().unwrap_or(0)))
    }

    /// Takes all that is free on the list's first page, or else all of a fresh page.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    pub(crate) unsafe fn take_page(
        head: NonNull<Self>,
    ) -> Result<(NonNull<PageDesc>, Mask), AllocError> {
        let whole = |head| {
            // SAFETY: passed on to the caller.
            unsafe { Self::fetch(head, 0) }.map(|(page, _)| (page, Word::<FRAGS>::ALL))
        };
        // SAFETY: as above.
        unsafe { Self::take_slowly(head, 0, false, Word::take_all, whole) }
    }

    /// Under the lock, or else from a fresh page. Who is `choosy` leaves to takers of other lanes what they need.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    unsafe fn take_slowly(
        head: NonNull<Self>,
        lane: usize,
        choosy: bool,
        take: Take<FRAGS>,
        fresh: impl FnOnce(NonNull<Self>) -> Result<(NonNull<PageDesc>, Mask), AllocError>,
    ) -> Result<(NonNull<PageDesc>, Mask), AllocError> {
        // SAFETY: the caller's pin keeps the head.
        let this = unsafe { head.as_ref() };
        let mut patience = Patience::new();
        let fetching = loop {
            match this.take_here(lane, choosy, take) {
                Locked::Taken(page, mask) => {
                    this.hurry_if_scarce();
                    return Ok((page, mask));
                }
                Locked::Empty => {}
                Locked::Closed => return Err(AllocError),
            }
            // One thread of a lane at a time fetches, and the others wait for what it lists: one for a little, and the
            // rest for long.
            let (most, until) = match () {
                () if !patience.is_over(A_LITTLE) => (0, A_LITTLE),
                () if !patience.is_over(LONG) => (1, LONG),
                () => (u32::MAX - 1, LONG),
            };
            if let Some(fetching) = Fetching::begin(this, lane, most) {
                break fetching;
            }
            this.wait_for_fetchers(&(lane..=lane), &mut patience, until);
        };
        let fetched = fresh(head);
        drop(fetching);
        this.hurry_if_scarce();
        let error = match fetched {
            Ok(taken) => return Ok(taken),
            Err(error) => error,
        };
        if let Some(taken) = this.take_one_passed() {
            return Ok(taken);
        }
        let mut patience = Patience::new();
        loop {
            // Before the look at the list: what was fetched until then is found there.
            let fetching = this.are_fetching();
            match this.take_anywhere(lane, take) {
                // Something has come back, or was fetched by others, while the source was asked.
                Locked::Taken(page, mask) => return Ok((page, mask)),
                Locked::Empty if fetching && !patience.is_over(LONG) => {
                    this.wait_for_fetchers(&this.all_lanes(), &mut patience, LONG);
                }
                Locked::Empty | Locked::Closed => return Err(error),
            }
        }
    }

    /// Has what waits for its grace period collected, if the next take may find nothing.
    pub(crate) fn hurry_if_scarce(&self) {
        if self.source.is_scarce() && self.first().is_none() {
            self.rcu.hurry();
        }
    }

    /// The lock-free way: one compare-and-swap on the word of the first page in the taker's lane.
    ///
    /// The lane when there is no first page, or nothing but its host, or it has just left the list.
    /// The page may have left the list since, and even be another mm's; but within the section no other
    /// mm shows it, and nothing is taken here from a page that is not shown.
    #[inline]
    fn take_first(&self) -> Result<Taken, usize> {
        let section = self.rcu.read();
        let (list, lane) = self.shown_to(&section);
        let page = list.first().ok_or(lane)?;
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let listed = Word::<FRAGS>::from_bits(now);
            let (taken, index) = listed.take_shown().ok_or(lane)?;
            match claim(word, now, taken) {
                Ok(()) => {
                    if listed.is_all_free() {
                        self.unreserve_empty();
                    }
                    return Ok((page, index));
                }
                Err(seen) => now = seen,
            }
        }
    }

    /// The way under the lock in the taker's lane, or in another that has more than it needs, or is not in use. There may
    /// be something in those that are, too, but who is `choosy` leaves their takers alone as long as pages are not scarce.
    fn take_here(&self, lane: usize, choosy: bool, take: Take<FRAGS>) -> Locked {
        let found = self.take_locked(lane, take);
        if !matches!(found, Locked::Empty) || self.has_one_lane() {
            return found;
        }
        let other = if choosy && !self.source.is_scarce() {
            self.lane_to_take_from(lane)
        } else {
            self.other_lanes(lane, lane, usize::MAX).next()
        };
        other.and_then(|other| self.take_from(other, lane, take)).unwrap_or(found)
    }

    /// The way under the lock from whichever lane has something.
    fn take_anywhere(&self, lane: usize, take: Take<FRAGS>) -> Locked {
        match self.take_locked(lane, take) {
            Locked::Empty if !self.has_one_lane() => {
                self.take_from_all(lane, take).unwrap_or(Locked::Empty)
            }
            found => found,
        }
    }

    /// The way under the lock, from the first page of the list anew: the page that was looked at
    /// without it may be another mm's by now. `take` answers with a listed word's successor and what
    /// is taken by it.
    fn take_locked(&self, lane: usize, take: Take<FRAGS>) -> Locked {
        self.lock(lane);
        // SAFETY: under the lock.
        let open = unsafe { self.is_open(lane) };
        let found = match self.first_in(lane) {
            _ if !open => Locked::Closed,
            None => Locked::Empty,
            // SAFETY: under the lock, the list's first page.
            Some(page) => match unsafe { self.take_listed(page, take) } {
                Ok(mask) => {
                    // SAFETY: as above.
                    unsafe { self.count_take(lane) };
                    Locked::Taken(page, mask)
                }
                Err(BadLink) => {
                    // SAFETY: ours; the caller's handle is the pin.
                    unsafe { Self::unlock(self.into(), lane) };
                    bad_link::<FRAGS, E::Source>(&self.source, page);
                }
            },
        };
        // SAFETY: as above.
        unsafe { Self::unlock(self.into(), lane) };
        found
    }

    /// Takes from a page that is listed.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is on the list.
    pub(super) unsafe fn take_listed(
        &self,
        page: NonNull<PageDesc>,
        take: Take<FRAGS>,
    ) -> Result<Mask, BadLink> {
        // SAFETY: passed on to the caller.
        unsafe { self.show(page) }?;
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let listed = Word::<FRAGS>::from_bits(now);
            let (taken, mask) = take(listed).ok_or(BadLink)?;
            let last = !taken.is_listed();
            if last {
                // SAFETY: the page is on the list.
                unsafe { self.check(page, listed) }?;
            }
            match claim(word, now, taken) {
                Ok(()) => {
                    if last {
                        // The word goes first here: had it been unlinked before, a fragment freed
                        // meanwhile would leave a listed page off the list. The host is ours from
                        // the change on, so the node is safe, and the page with it.
                        // SAFETY: checked above, and nobody but us has got the host.
                        unsafe { self.unlink(page, listed) };
                    }
                    if listed.is_all_free() {
                        self.unreserve_empty();
                    }
                    return Ok(mask);
                }
                Err(seen) => now = seen,
            }
        }
    }
}
