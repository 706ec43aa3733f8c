//! Lanes: takers without the lock are spread over several pages.
//!
//! An mm shows its pages on as many lists as it has lanes, and each taker looks at the one of its lane. So who
//! takes in one lane writes nothing that takers in another read. Each page's word says in which lane it is; it comes
//! back there, and stays until a taker in another lane, who finds nothing in its own, fetches it over.

use core::{fmt, ptr::NonNull};

use crossbeam_utils::CachePadded;

use super::{
    head::MmHead,
    list::{BadLink, PartialList},
};
use crate::{
    embed::{Embed, PageSource, Rcu},
    page::{PageDesc, word::Word},
    sync::{AtomicU32, Ordering, UnsafeCell},
};

/// The most lanes of an mm.
pub(super) const MOST: usize = 128;

/// After so many takes in a row from the only page of another lane a taker gets a page of its own, though that one
/// has something left.
const BORROWS: u32 = 4;

/// What a lane consists of: a list of pages from which its takers take without the lock.
struct Shown<const FRAGS: usize, S> {
    list: PartialList<FRAGS, S>,
    /// Takes in a row from other lanes. Guarded by the lock.
    borrows: AtomicU32,
}

impl<const FRAGS: usize, S: PageSource> Shown<FRAGS, S> {
    fn new() -> Self {
        Self { list: PartialList::new(), borrows: AtomicU32::new(0) }
    }

    /// Whether it is not time yet for a page of its own. Under the lock.
    fn may_borrow(&self) -> bool {
        let borrows = &self.borrows;
        let count = borrows.load(Ordering::Relaxed);
        borrows.store(if count == BORROWS { 0 } else { count + 1 }, Ordering::Relaxed);
        count != BORROWS
    }
}

/// One of the lanes of an mm, on a cache line of its own. Only embedders without an allocator name it
/// ([`Mm::lanes_at`](crate::Mm::lanes_at)).
pub struct Lane<const FRAGS: usize, S>(CachePadded<Shown<FRAGS, S>>);

impl<const FRAGS: usize, S: PageSource> Lane<FRAGS, S> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self(CachePadded::new(Shown::new()))
    }
}

impl<const FRAGS: usize, S: PageSource> Default for Lane<FRAGS, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FRAGS: usize, S> fmt::Debug for Lane<FRAGS, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// Lanes that an mm was given, and what is called with them at its end.
///
/// # Invariants
/// There are `mask + 1` at `at`, which is a power of two, and they stay until `free` is called.
struct Given<const FRAGS: usize, S> {
    at: NonNull<Lane<FRAGS, S>>,
    mask: usize,
    free: FreeLanes<FRAGS, S>,
}

pub(super) type FreeLanes<const FRAGS: usize, S> = unsafe fn(NonNull<[Lane<FRAGS, S>]>);

/// An mm's lanes: one of its own, or as many as it was given.
pub(super) struct Lanes<const FRAGS: usize, S> {
    own: Shown<FRAGS, S>,
    /// Written before the mm is used. With those the line is written no more.
    given: UnsafeCell<Option<Given<FRAGS, S>>>,
}

impl<const FRAGS: usize, S: PageSource> Lanes<FRAGS, S> {
    pub(super) fn one() -> Self {
        Self { own: Shown::new(), given: UnsafeCell::new(None) }
    }

    /// Panics unless there can be so many.
    pub(super) fn check(count: usize) {
        assert!(
            count.is_power_of_two() && count <= MOST,
            "ptfrag: the number of lanes is a power of two up to {MOST}"
        );
    }

    /// # Safety
    /// There can be so many, they are this mm's alone until `free` is called with them, and nobody uses the mm yet.
    pub(super) unsafe fn give(&self, lanes: NonNull<[Lane<FRAGS, S>]>, free: FreeLanes<FRAGS, S>) {
        assert!(self.given().is_none(), "ptfrag: an mm gets lanes once");
        let given = Given { at: lanes.cast(), mask: lanes.len() - 1, free };
        // SAFETY: passed on to the caller.
        self.given.with_mut(|place| unsafe { *place = Some(given) });
    }

    #[inline]
    fn given(&self) -> Option<&Given<FRAGS, S>> {
        // SAFETY: it is not written any more.
        self.given.with(|given| unsafe { (*given).as_ref() })
    }

    fn mask(&self) -> usize {
        self.given().map_or(0, |given| given.mask)
    }

    /// A lane, counted modulo how many there are.
    #[inline]
    fn lane(&self, number: usize) -> &Shown<FRAGS, S> {
        let Some(given) = self.given() else { return &self.own };
        // SAFETY: so many lanes are there.
        let lane = unsafe { given.at.add(number & given.mask) };
        // SAFETY: and stay as long as this.
        unsafe { &(*lane.as_ptr()).0 }
    }

    /// Their lists.
    fn lists(&self) -> impl Iterator<Item = &PartialList<FRAGS, S>> {
        (0..=self.mask()).map(|number| &self.lane(number).list)
    }
}

impl<const FRAGS: usize, S> Drop for Lanes<FRAGS, S> {
    fn drop(&mut self) {
        let Some(Given { at, mask, free }) = self.given.with_mut(|given| {
            // SAFETY: nobody uses the mm any more.
            unsafe { (*given).take() }
        }) else {
            return;
        };
        // SAFETY: passed on to who gave them.
        unsafe { free(NonNull::slice_from_raw_parts(at, mask + 1)) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// The list at which a taker without the lock looks, and the number of its lane.
    #[inline]
    pub(super) fn shown_to(
        &self,
        section: &<E::Rcu as Rcu>::Guard,
    ) -> (&PartialList<FRAGS, E::Source>, usize) {
        if self.lanes.given().is_none() {
            return (&self.lanes.own.list, 0);
        }
        let lane = self.rcu.lane(section) & self.lanes.mask();
        (&self.lanes.lane(lane).list, lane)
    }

    /// The list on which a listed page with this word is.
    pub(super) fn list_of(&self, word: Word<FRAGS>) -> &PartialList<FRAGS, E::Source> {
        if word.is_shown() { &self.lanes.lane(word.lane()).list } else { &self.quiet }
    }

    /// All lists, the quiet pages' last.
    pub(super) fn lists(&self) -> impl Iterator<Item = &PartialList<FRAGS, E::Source>> {
        self.lanes.lists().chain([&self.quiet])
    }

    /// The page from which a taker in this lane takes next under the lock, unless it is to look elsewhere.
    pub(super) fn first_in(&self, lane: usize) -> Option<NonNull<PageDesc>> {
        self.lanes.lane(lane).list.first().or_else(|| self.quiet.first())
    }

    /// The page from which a taker in this lane takes under the lock: the first in its lane, a quiet one, or one of
    /// another lane's. The only page of another lane stays there; and a taker that is `choosy`, since it may get
    /// a page of its own, does not always take from it.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(super) unsafe fn page_for(
        &self,
        lane: usize,
        choosy: bool,
    ) -> Result<Option<NonNull<PageDesc>>, (NonNull<PageDesc>, BadLink)> {
        if let Some(page) = self.first_in(lane) {
            return Ok(Some(page));
        }
        let mut only = None;
        for list in self.lanes.lists() {
            let Some(page) = list.first() else { continue };
            // SAFETY: passed on to the caller, and the page is the list's first.
            if unsafe { self.fetch_over(page, lane) }.map_err(|broken| (page, broken))? {
                return Ok(Some(page));
            }
            only = Some(page);
        }
        Ok(only.filter(|_| !choosy || self.lanes.lane(lane).may_borrow()))
    }

    /// Fetches a page over to a lane, unless it is the only one where it is; says whether it has.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is shown, the first of its list.
    unsafe fn fetch_over(&self, page: NonNull<PageDesc>, lane: usize) -> Result<bool, BadLink> {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // LISTED, HOST and the lane change only under the lock.
        let there = Word::<FRAGS>::from_bits(desc.word.load(Ordering::Relaxed));
        // SAFETY: passed on to the caller, here and below.
        unsafe { self.check(page, there) }?;
        // SAFETY: just checked.
        if unsafe { self.list_of(there).after(&self.source, page, there) }.is_none() {
            return Ok(false);
        }
        // SAFETY: just checked, and its host is taken under the lock only.
        unsafe { self.unlink(page, there) };
        let enter = |now| Some(Word::<FRAGS>::from_bits(now).in_lane(lane).bits());
        // Release, as of every change of the word.
        let (set, seen) = (Ordering::Release, Ordering::Relaxed);
        let was = desc.word.fetch_update(set, seen, enter).unwrap_or_else(|now| now);
        let here = Word::<FRAGS>::from_bits(was).in_lane(lane);
        // SAFETY: it was unlinked just now, and is listed again.
        unsafe { self.list_of(here).push(&self.source, page, here) };
        Ok(true)
    }
}
