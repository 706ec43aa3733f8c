//! Lanes: takers are spread over several lists of pages.
//!
//! An mm lists its pages in as many lanes as it has, each with a lock of its own, and each taker looks at its lane. So
//! who finds something there writes nothing that takers in another read. Each page's word says in which lane it is; it comes
//! back there, and stays until a taker in another lane, who finds nothing in its own, fetches it over.

use core::{fmt, hint, ops::RangeInclusive, ptr::NonNull};

use crossbeam_utils::CachePadded;

use super::{head::MmHead, list::PartialList};
use crate::{
    embed::{Embed, Hooks, RawLock, Rcu},
    page::{PageDesc, word::Word},
    sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell, bound},
};

/// The most lanes of an mm.
pub(super) const MOST: usize = 128;

/// Who may not wait for the lock tries so often, with pauses that get longer: about a microsecond.
const TRIES: u32 = bound(6, 1);

/// What changes page by page, and not with every fragment.
pub(super) struct Side<const FRAGS: usize, E: Embed> {
    pub(super) lock: E::Lock,
    /// Guarded by the lock, as the lists are.
    closed: UnsafeCell<bool>,
    /// The list of quiet pages.
    quiet: PartialList<FRAGS, E::Source>,
    /// Threads that fetch a page for this lane and have not listed it yet.
    fetching: AtomicU32,
    /// Pages that are listed in this lane. Written under the lock; a hint to others.
    pub(super) pages: AtomicU32,
    /// Takes under the lock by takers of this lane. Likewise.
    pub(super) takes: AtomicU32,
    /// Another lane that a taker of this one has seen, in the upper half, and its `takes` then.
    pub(super) watched: AtomicU64,
}

impl<const FRAGS: usize, E: Embed> Side<FRAGS, E> {
    /// Forgets the mm that it was of before, whose lists it has left empty.
    fn begin_anew(&self) {
        // SAFETY: nobody else uses the lane.
        self.closed.with_mut(|closed| unsafe { *closed = false });
        self.pages.store(0, Ordering::Relaxed);
        self.takes.store(0, Ordering::Relaxed);
        self.watched.store(0, Ordering::Relaxed);
    }

    fn new() -> Self {
        Self {
            lock: E::Lock::new(),
            closed: UnsafeCell::new(false),
            quiet: PartialList::new(),
            fetching: AtomicU32::new(0),
            pages: AtomicU32::new(0),
            takes: AtomicU32::new(0),
            watched: AtomicU64::new(0),
        }
    }
}

/// One of the lanes of an mm, on cache lines of its own. Only embedders without an allocator name it
/// ([`Mm::lanes_at`](crate::Mm::lanes_at)).
pub struct Lane<const FRAGS: usize, E: Embed> {
    shown: CachePadded<PartialList<FRAGS, E::Source>>,
    side: CachePadded<Side<FRAGS, E>>,
}

impl<const FRAGS: usize, E: Embed> Lane<FRAGS, E> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { shown: CachePadded::new(PartialList::new()), side: CachePadded::new(Side::new()) }
    }
}

impl<const FRAGS: usize, E: Embed> Default for Lane<FRAGS, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FRAGS: usize, E: Embed> fmt::Debug for Lane<FRAGS, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// Lanes that an mm was given, and what is called with them at its end.
///
/// # Invariants
/// There are `mask + 1` at `at`, which is a power of two, and they stay until `free` is called.
struct Given<const FRAGS: usize, E: Embed> {
    at: NonNull<Lane<FRAGS, E>>,
    mask: usize,
    free: FreeLanes<FRAGS, E>,
}

pub(super) type FreeLanes<const FRAGS: usize, E> = unsafe fn(NonNull<[Lane<FRAGS, E>]>);

/// The list at which all takers look whose mm was given no lanes. With lanes nobody writes it.
struct Front<const FRAGS: usize, E: Embed> {
    shown: PartialList<FRAGS, E::Source>,
    /// Written before the mm is used.
    given: UnsafeCell<Option<Given<FRAGS, E>>>,
}

/// An mm's lanes: one of its own, or as many as it was given.
pub(super) struct Lanes<const FRAGS: usize, E: Embed> {
    front: CachePadded<Front<FRAGS, E>>,
    side: CachePadded<Side<FRAGS, E>>,
}

/// A lane, wherever its parts are.
struct InLane<'m, const FRAGS: usize, E: Embed> {
    shown: &'m PartialList<FRAGS, E::Source>,
    side: &'m Side<FRAGS, E>,
}

impl<const FRAGS: usize, E: Embed> Lanes<FRAGS, E> {
    pub(super) fn one() -> Self {
        let front = Front { shown: PartialList::new(), given: UnsafeCell::new(None) };
        Self { front: CachePadded::new(front), side: CachePadded::new(Side::new()) }
    }

    /// Panics unless there can be so many.
    pub(super) fn check(count: usize) {
        assert!(
            count.is_power_of_two() && count <= MOST,
            "ptfrag: the number of lanes is a power of two up to {MOST}"
        );
    }

    /// Panics if the mm was given some before.
    pub(super) fn check_none(&self) {
        assert!(self.given().is_none(), "ptfrag: an mm gets lanes once");
    }

    /// # Safety
    /// There can be so many, they are this mm's alone until `free` is called with them, and nobody uses the mm yet.
    pub(super) unsafe fn give(&self, lanes: NonNull<[Lane<FRAGS, E>]>, free: FreeLanes<FRAGS, E>) {
        self.check_none();
        // SAFETY: passed on to the caller.
        for lane in unsafe { lanes.as_ref() } {
            lane.side.begin_anew();
        }
        let given = Given { at: lanes.cast(), mask: lanes.len() - 1, free };
        // SAFETY: passed on to the caller.
        self.front.given.with_mut(|place| unsafe { *place = Some(given) });
    }

    #[inline]
    fn given(&self) -> Option<&Given<FRAGS, E>> {
        // SAFETY: it is not written any more.
        self.front.given.with(|given| unsafe { (*given).as_ref() })
    }

    fn mask(&self) -> usize {
        self.given().map_or(0, |given| given.mask)
    }

    /// What a lane has beside the list that is shown.
    pub(super) fn side(&self, number: usize) -> &Side<FRAGS, E> {
        self.lane(number).side
    }

    /// A lane, counted modulo how many there are.
    #[inline]
    fn lane(&self, number: usize) -> InLane<'_, FRAGS, E> {
        let Some(given) = self.given() else {
            return InLane { shown: &self.front.shown, side: &self.side };
        };
        // SAFETY: so many lanes are there.
        let lane = unsafe { given.at.add(number & given.mask) };
        // SAFETY: and stay as long as this.
        let Lane { shown, side } = unsafe { &*lane.as_ptr() };
        InLane { shown, side }
    }
}

impl<const FRAGS: usize, E: Embed> Drop for Lanes<FRAGS, E> {
    fn drop(&mut self) {
        let Some(Given { at, mask, free }) = self.front.given.with_mut(|given| {
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
            return (&self.lanes.front.shown, 0);
        }
        let lane = self.rcu.lane(section) & self.lanes.mask();
        (self.lanes.lane(lane).shown, lane)
    }

    /// The numbers of all lanes.
    pub(super) fn all_lanes(&self) -> RangeInclusive<usize> {
        0..=self.lanes.mask()
    }

    pub(super) fn has_one_lane(&self) -> bool {
        self.lanes.mask() == 0
    }

    /// Takes a lane's lock.
    pub(super) fn lock(&self, lane: usize) {
        self.lanes.side(lane).lock.lock();
    }

    /// Takes a lane's lock, unless somebody holds it for longer than a hold takes as a rule. If pages wait for that
    /// already there is no point in trying for long.
    pub(super) fn try_lock(&self, lane: usize) -> bool {
        let lock = &self.lanes.side(lane).lock;
        lock.try_lock()
            || self.waiting.is_empty()
                && (1..TRIES).any(|tries| {
                    (0..1 << tries).for_each(|_| hint::spin_loop());
                    lock.try_lock()
                })
    }

    /// Releases a lane's lock. Takes a pointer, because the head may be gone when this returns.
    ///
    /// # Safety
    /// The caller holds the lock, and a pin keeps the head until it is released.
    pub(super) unsafe fn unlock(head: NonNull<Self>, lane: usize) {
        // SAFETY: the head is there until the lock is released.
        let lanes = unsafe { &head.as_ref().lanes };
        // A reference to the lock alone: it is all cells and atomics, which may go while referred
        // to, and the rest is not.
        let lock = &lanes.side(lane).lock;
        // SAFETY: the caller holds the lock.
        unsafe { lock.unlock() };
    }

    /// Whether the mm lists pages in this lane.
    ///
    /// # Safety
    /// The caller holds its lock.
    pub(super) unsafe fn is_open(&self, lane: usize) -> bool {
        // SAFETY: written only under the lock.
        self.lanes.side(lane).closed.with(|closed| unsafe { !*closed })
    }

    /// From now on nothing of this mm is listed in this lane.
    ///
    /// # Safety
    /// The caller holds its lock.
    pub(super) unsafe fn set_closed(&self, lane: usize) {
        // SAFETY: read and written only under the lock.
        self.lanes.side(lane).closed.with_mut(|closed| unsafe { *closed = true });
    }

    /// The list on which a listed page with this word is.
    pub(super) fn list_of(&self, word: Word<FRAGS>) -> &PartialList<FRAGS, E::Source> {
        let [shown, quiet] = self.lists(word.lane());
        if word.is_shown() { shown } else { quiet }
    }

    /// The lists of a lane, that of the quiet pages last.
    pub(super) fn lists(&self, lane: usize) -> [&PartialList<FRAGS, E::Source>; 2] {
        let InLane { shown, side } = self.lanes.lane(lane);
        [shown, &side.quiet]
    }

    /// The page from which a taker in this lane takes next under its lock, unless it has to look elsewhere.
    pub(super) fn first_in(&self, lane: usize) -> Option<NonNull<PageDesc>> {
        self.lists(lane).into_iter().find_map(PartialList::first)
    }

    /// Of so many lanes behind `first`, those others than `lane` in which something is listed.
    pub(super) fn other_lanes(
        &self,
        lane: usize,
        first: usize,
        most: usize,
    ) -> impl Iterator<Item = usize> {
        let mask = self.lanes.mask();
        let others = (1..=most.min(mask + 1)).map(move |step| (first + step) & mask);
        others.filter(move |&other| other != lane && self.first_in(other).is_some())
    }

    /// Threads that fetch a page for a lane.
    pub(super) fn fetching(&self, lane: usize) -> &AtomicU32 {
        &self.lanes.side(lane).fetching
    }

    /// Puts a page on the list that its word names.
    ///
    /// # Safety
    /// As for [`PartialList::push`].
    pub(super) unsafe fn link(&self, page: NonNull<PageDesc>, word: Word<FRAGS>) {
        // SAFETY: passed on to the caller.
        unsafe { self.list_of(word).push(&self.source, page, word) };
        self.count_pages(word.lane(), 1);
    }

    /// Takes a page off its list.
    ///
    /// # Safety
    /// As for [`PartialList::unlink`].
    pub(super) unsafe fn unlink(&self, page: NonNull<PageDesc>, word: Word<FRAGS>) {
        // SAFETY: passed on to the caller.
        unsafe { self.list_of(word).unlink(&self.source, page, word, E::Hooks::EMPTY_NODE) };
        self.count_pages(word.lane(), u32::MAX);
    }

    fn count_pages(&self, lane: usize, more: u32) {
        // Only who has several lanes asks.
        if self.lanes.given().is_some() {
            let pages = &self.lanes.side(lane).pages;
            pages.store(pages.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        }
    }
}
