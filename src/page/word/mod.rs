//! The page word and its transitions: pure functions, no atomics, no pointers.
//!
//! A transition takes a word, a set of fragments and what it needs to know of the mm, and answers
//! with the word to put in its place and what is to be done outside the word. Whoever calls it
//! installs the new word by compare-and-swap and then does the rest, in the order that
//! [`Step`] states.

use crate::page::mask::Mask;

mod display;
mod step;
#[cfg(all(test, not(any(ptfrag_loom, ptfrag_shuttle))))]
mod tests;

pub use step::{ListOp, Lists, Lookers, NotUsed, Step};

const FREE: u32 = 0;
const PENDING: u32 = 16;
const NEXT: u32 = 32;
const HOST: u32 = 48;
const LISTED: u64 = 1 << 52;
const SHOWN: u64 = 1 << 53;
const LIVE: u64 = 1 << 54;
const HOOKED: u64 = 1 << 55;
const UNUSED: u64 = 1 << 56;
const LANE: u32 = 57;

/// The whole state of a page of `N` fragments.
///
/// | bits | name | meaning |
/// | --- | --- | --- |
/// | 0..16 | FREE (F) | may be handed out now; its grace period, if it needed one, is over |
/// | 16..32 | PENDING (P) | freed; waits for the grace period that is in flight |
/// | 32..48 | NEXT (X) | freed while one was in flight; waits for the one after it |
/// | 48..52 | HOST | the free fragment that holds the list node; zero unless LISTED |
/// | 52 | LISTED | the page is on its mm's partial list |
/// | 53 | SHOWN | while it is listed, takers may find the page without the lock; else it is *quiet* |
/// | 54 | LIVE | an mm owns the page |
/// | 55 | HOOKED | the grace period of P is over and the hook has run: only the list work is left to do |
/// | 56 | | zero |
/// | 57..64 | LANE | the number of the lane on one of whose lists it is when it is listed |
///
/// Fragments in none of F, P and X are *used* (U).
///
/// # Invariants
/// A word is legal when it is zero (the page is at its source), or LIVE and
/// - F, P and X are disjoint and below bit `N`;
/// - X is empty when P is, and HOOKED is clear (a call is in flight exactly while P is not empty);
/// - LISTED implies that F is not empty, and HOST is in F.
///
/// While the page's lane is open, LISTED is set whenever F is not empty; so an unlisted page with something in
/// F tells that its mm is being closed, or was.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word<const N: usize>(u64);

impl<const N: usize> Word<N> {
    /// All fragments of a page.
    pub const ALL: Mask = Mask::first(N);

    /// A page that has just come from its source: every fragment used by whoever fetched it. `shown`
    /// says whether takers may find it without the lock as soon as it is listed.
    #[must_use]
    pub const fn fresh(shown: bool) -> Self {
        Self(if shown { LIVE | SHOWN } else { LIVE })
    }

    /// The word with these bits.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as bits.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Fragments that may be handed out.
    #[must_use]
    #[inline]
    pub const fn free(self) -> Mask {
        Mask::from_bits((self.0 >> FREE) as u16)
    }

    /// Fragments that wait for the grace period in flight.
    #[must_use]
    #[inline]
    pub const fn pending(self) -> Mask {
        Mask::from_bits((self.0 >> PENDING) as u16)
    }

    /// Fragments that wait for the grace period after the one in flight.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Mask {
        Mask::from_bits((self.0 >> NEXT) as u16)
    }

    /// Fragments that somebody has; empty when no mm owns the page.
    #[must_use]
    #[inline]
    pub fn used(self) -> Mask {
        if self.is_live() {
            Self::ALL - self.free() - self.pending() - self.next()
        } else {
            Mask::EMPTY
        }
    }

    /// The fragment that holds the list node, if the page is listed.
    #[must_use]
    #[inline]
    pub const fn host(self) -> Option<usize> {
        if self.is_listed() { Some((self.0 >> HOST) as usize & 0xf) } else { None }
    }

    /// The number of the page's lane.
    #[must_use]
    #[inline]
    pub const fn lane(self) -> usize {
        (self.0 >> LANE) as usize
    }

    /// Whether every fragment is free.
    #[must_use]
    #[inline]
    pub fn is_all_free(self) -> bool {
        self.free() == Self::ALL
    }

    /// Whether the page is on the partial list.
    #[must_use]
    #[inline]
    pub const fn is_listed(self) -> bool {
        self.0 & LISTED != 0
    }

    /// Whether takers may find the page without the lock while it is listed.
    #[must_use]
    #[inline]
    pub const fn is_shown(self) -> bool {
        self.0 & SHOWN != 0
    }

    /// Whether the hook has run for all that is pending.
    #[must_use]
    #[inline]
    pub const fn is_hooked(self) -> bool {
        self.0 & HOOKED != 0
    }

    /// Whether an mm owns the page.
    #[must_use]
    #[inline]
    pub const fn is_live(self) -> bool {
        self.0 & LIVE != 0
    }

    /// Whether the word keeps the type's invariants.
    #[must_use]
    pub fn is_legal(self) -> bool {
        let (f, p, x) = (self.free(), self.pending(), self.next());
        let host_bits = (self.0 >> HOST) as usize & 0xf;
        let listed_right = match self.host() {
            Some(host) => f.contains(Mask::single(host)),
            None => host_bits == 0,
        };
        self.0 == 0
            || self.is_live()
                && self.0 & UNUSED == 0
                && Self::ALL.contains(f | p | x)
                && (f & p).is_empty()
                && (f & x).is_empty()
                && (p & x).is_empty()
                && (!p.is_empty() || x.is_empty() && !self.is_hooked())
                && listed_right
    }

    /// U <- F: one fragment, never the host. `None` when the page is not listed or only its host is
    /// left.
    #[must_use]
    #[inline]
    pub fn take(self) -> Option<(Self, usize)> {
        let index = (self.free() - Mask::single(self.host()?)).lowest()?;
        Some((Self(self.0 & !(1 << index << FREE)), index))
    }

    /// U <- F: all that is free, the host too, which takes the page off the list. `None` when it is
    /// not listed.
    #[must_use]
    #[inline]
    pub fn take_all(self) -> Option<(Self, Mask)> {
        self.host()?;
        Some((self.set_free(Mask::EMPTY).unlisted(), self.free()))
    }

    /// The same, without the lock: `None` too for a page that is not shown.
    #[must_use]
    #[inline]
    pub fn take_shown(self) -> Option<(Self, usize)> {
        if self.is_shown() { self.take() } else { None }
    }

    /// Shows a listed page.
    #[must_use]
    pub const fn show(self) -> Self {
        Self(self.0 | SHOWN)
    }

    /// The page in another lane, of which there are at most 128.
    #[must_use]
    pub const fn in_lane(self, number: usize) -> Self {
        Self(self.0 & !(0x7f << LANE) | (number as u64 & 0x7f) << LANE)
    }

    /// P or X <- U: fragments that readers may still see. Says whether a call is to be queued.
    /// Never changes the list.
    ///
    /// `joins` says whether the grace period of the call in flight has not begun yet; it is asked when
    /// there is one. Nothing joins a HOOKED page, whatever a ticket says that was compared later: the word may
    /// come to be the same again in a later flight.
    ///
    /// # Errors
    /// [`NotUsed`] unless `mask` has fragments and every one of them is used.
    #[inline]
    pub fn retire(self, mask: Mask, joins: impl FnOnce() -> bool) -> Result<(Self, bool), NotUsed> {
        if mask.is_empty() || !self.used().contains(mask) {
            return Err(NotUsed);
        }
        let idle = self.pending().is_empty();
        let shift = if idle || !self.is_hooked() && joins() { PENDING } else { NEXT };
        Ok((Self(self.0 | u64::from(mask.bits()) << shift), idle))
    }

    /// F <- U: fragments that no reader can have seen since they were taken. `lists` matters only
    /// where the page would go on the list, or is all free now.
    ///
    /// # Errors
    /// [`NotUsed`] unless `mask` has fragments and every one of them is used.
    #[inline]
    pub fn give_back(self, mask: Mask, lists: Lists) -> Result<Step<N>, NotUsed> {
        if mask.is_empty() || !self.used().contains(mask) {
            return Err(NotUsed);
        }
        Ok(self.freed(mask, self.pending(), self.next(), lists))
    }

    /// F <- P, P <- X: the grace period in flight is over. `lists` as for
    /// [`give_back`](Self::give_back).
    #[inline]
    pub fn grace_over(self, lists: Lists) -> Step<N> {
        let step = self.freed(self.pending(), self.next(), Mask::EMPTY, lists);
        let call = !self.next().is_empty();
        // With nothing free before, the page had left the list when the last of its fragments was retired, so
        // the grace period that just ended was for its lookers, too.
        let seen_off = self.is_shown() && self.free().is_empty();
        let home = step.home.map(|lookers| if seen_off { Lookers::None } else { lookers });
        Step { word: step.word.unhooked(), call, home, ..step }
    }

    /// The hook has run for all that is pending, which nothing joins any more. Who read the word before finds
    /// it changed.
    #[must_use]
    pub const fn hooked(self) -> Self {
        Self(self.0 | HOOKED)
    }

    /// The mm closes: a listed page comes off the list, and goes home if it is all free.
    #[inline]
    pub fn close(self) -> Step<N> {
        let home = self.is_listed() && self.is_all_free();
        let list = if self.is_listed() { ListOp::Unlink } else { ListOp::Keep };
        self.step(if home { Self(0) } else { self.unlisted() }, list, home)
    }

    /// `mask` becomes free, P and X become what is given.
    #[inline]
    fn freed(self, mask: Mask, pending: Mask, next: Mask, lists: Lists) -> Step<N> {
        let free = self.free() | mask;
        let word = self.set_free(free).set_pending(pending).set_next(next);
        // A page with something free that is off the list is a closed mm's.
        let stays = self.is_listed() && lists == Lists::Empty;
        let goes_on = self.free().is_empty() && lists != Lists::Nothing;
        if free == Self::ALL && !stays && !(goes_on && lists == Lists::Empty) {
            let list = if self.is_listed() { ListOp::Unlink } else { ListOp::Keep };
            return self.step(Self(0), list, true);
        }
        match free.highest() {
            Some(host) if goes_on => self.step(word.listed(host), ListOp::Link, false),
            _ => self.step(word, ListOp::Keep, false),
        }
    }

    #[inline]
    fn step(self, word: Self, list: ListOp, home: bool) -> Step<N> {
        let lookers = if self.is_shown() { Lookers::Own } else { Lookers::Others };
        Step { word, list, call: false, home: home.then_some(lookers) }
    }

    #[inline]
    fn set_field(self, shift: u32, mask: Mask) -> Self {
        Self(self.0 & !(0xffff << shift) | u64::from(mask.bits()) << shift)
    }

    #[inline]
    fn set_free(self, mask: Mask) -> Self {
        self.set_field(FREE, mask)
    }

    #[inline]
    fn set_pending(self, mask: Mask) -> Self {
        self.set_field(PENDING, mask)
    }

    #[inline]
    fn set_next(self, mask: Mask) -> Self {
        self.set_field(NEXT, mask)
    }

    #[inline]
    fn listed(self, host: usize) -> Self {
        Self(self.unlisted().0 | LISTED | (host as u64) << HOST)
    }

    #[inline]
    fn unlisted(self) -> Self {
        Self(self.0 & !(LISTED | 0xf << HOST))
    }

    #[inline]
    fn unhooked(self) -> Self {
        Self(self.0 & !HOOKED)
    }
}
