//! The page word and its transitions: pure functions, no atomics, no pointers.
//!
//! A transition takes a word, a set of fragments and what it needs to know of the mm, and answers
//! with the word to put in its place and what is to be done outside the word. Whoever calls it
//! installs the new word by compare-and-swap and then does the rest, in the order that
//! [`Step`] states.

use crate::page::mask::Mask;

mod display;
#[cfg(all(test, not(any(ptfrag_loom, ptfrag_shuttle))))]
mod tests;

const FREE: u32 = 0;
const PENDING: u32 = 16;
const NEXT: u32 = 32;
const HOST: u32 = 48;
const LISTED: u64 = 1 << 52;
const DRAIN: u64 = 1 << 53;
const LIVE: u64 = 1 << 54;

/// The whole state of a page of `N` fragments.
///
/// | bits | name | meaning |
/// | --- | --- | --- |
/// | 0..16 | FREE (F) | may be handed out now; its grace period, if it needed one, is over |
/// | 16..32 | PENDING (P) | freed; waits for the grace period that is in flight |
/// | 32..48 | NEXT (X) | freed while one was in flight; waits for the one after it |
/// | 48..52 | HOST | the free fragment that holds the list node; zero unless LISTED |
/// | 52 | LISTED | the page is on its mm's partial list |
/// | 53 | DRAIN | the page has left the list for good and waits for its last grace period |
/// | 54 | LIVE | an mm owns the page |
/// | 55..64 | | zero |
///
/// Fragments in none of F, P and X are *used* (U).
///
/// # Invariants
/// A word is legal when it is zero (the page is at its source), or LIVE and
/// - F, P and X are disjoint and below bit `N`;
/// - X is empty when P is (a call is in flight exactly while P is not empty or DRAIN is set);
/// - LISTED implies that F is not empty, HOST is in F, and DRAIN is clear;
/// - DRAIN implies that F is the whole page.
///
/// While the mm is open, LISTED is set whenever F is not empty and DRAIN is clear; so an unlisted
/// page with something in F and without DRAIN tells that its mm was closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word<const N: usize>(u64);

/// Which pages the mm lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// None any more: it was closed.
    Nothing,
    /// Those with something free and something not.
    Partial,
    /// Those that are all free too: it keeps them.
    Empty,
}

/// What a transition does to the partial list. Changes are made under the mm's lock, together with
/// the change of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOp {
    /// Nothing: the word is changed without the lock.
    Keep,
    /// The page goes on the list.
    Link,
    /// The page comes off the list.
    Unlink,
}

/// A transition: the new word, and what is to be done outside it, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step<const N: usize> {
    /// The word to install.
    pub word: Word<N>,
    /// The list work, in the lock hold in which the word is installed.
    pub list: ListOp,
    /// Then, with no lock held: queue the page's RCU head.
    pub call: bool,
    /// Or: give the page back to its source.
    pub release: bool,
}

impl<const N: usize> Step<N> {
    /// Whether the page goes home by it: with its release, or with a drain that begins.
    #[must_use]
    #[inline]
    pub fn empties(&self) -> bool {
        self.release || (self.call && self.word.is_draining())
    }

    /// Whether the page stays on the list though it is all free.
    #[must_use]
    #[inline]
    pub fn keeps_empty(&self) -> bool {
        self.word.is_listed() && self.word.is_all_free()
    }
}

/// A free of nothing, or of fragments of which some are not used: a double free, or a stray
/// pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUsed;

impl<const N: usize> Word<N> {
    /// All fragments of a page.
    pub const ALL: Mask = Mask::first(N);

    /// A page that has just come from its source: every fragment used by whoever fetched it.
    #[must_use]
    pub const fn fresh() -> Self {
        Self(LIVE)
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

    /// Whether the page waits for its last grace period.
    #[must_use]
    #[inline]
    pub const fn is_draining(self) -> bool {
        self.0 & DRAIN != 0
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
            Some(host) => f.contains(Mask::single(host)) && !self.is_draining(),
            None => host_bits == 0,
        };
        self.0 == 0
            || self.is_live()
                && self.0 >> 55 == 0
                && Self::ALL.contains(f | p | x)
                && (f & p).is_empty()
                && (f & x).is_empty()
                && (p & x).is_empty()
                && (x.is_empty() || !p.is_empty())
                && listed_right
                && (!self.is_draining() || f == Self::ALL)
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

    /// P or X <- U: fragments that readers may still see. Says whether a call is to be queued.
    /// Never changes the list.
    ///
    /// # Errors
    /// [`NotUsed`] unless `mask` has fragments and every one of them is used.
    #[inline]
    pub fn retire(self, mask: Mask) -> Result<(Self, bool), NotUsed> {
        if mask.is_empty() || !self.used().contains(mask) {
            return Err(NotUsed);
        }
        let idle = self.pending().is_empty();
        let shift = if idle { PENDING } else { NEXT };
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
        // All free with nothing free before: every fragment was retired at once, after the page
        // had left the list, so the grace period that just ended is the one a release needs.
        let whole = self.free().is_empty() && self.pending() == Self::ALL;
        if self.is_draining() || (whole && lists != Lists::Empty) {
            return Step { word: Self(0), list: ListOp::Keep, call: false, release: true };
        }
        let step = self.freed(self.pending(), self.next(), Mask::EMPTY, lists);
        Step { call: step.call || !self.next().is_empty(), ..step }
    }

    /// The mm closes: a listed page comes off the list, and drains if it is all free.
    #[inline]
    pub fn close(self) -> Step<N> {
        if !self.is_listed() {
            return Step { word: self, list: ListOp::Keep, call: false, release: false };
        }
        let drain = self.free() == Self::ALL;
        let word = if drain { self.draining() } else { self.unlisted() };
        Step { word, list: ListOp::Unlink, call: drain, release: false }
    }

    /// `mask` becomes free, P and X become what is given.
    #[inline]
    fn freed(self, mask: Mask, pending: Mask, next: Mask, lists: Lists) -> Step<N> {
        let free = self.free() | mask;
        let word = self.set_free(free).set_pending(pending).set_next(next);
        let step = |word, list, call| Step { word, list, call, release: false };
        // A page with something free that is off the list is a closed mm's.
        let stays = self.is_listed() && lists == Lists::Empty;
        let goes_on = self.free().is_empty() && lists != Lists::Nothing;
        if free == Self::ALL && !stays && !(goes_on && lists == Lists::Empty) {
            let list = if self.is_listed() { ListOp::Unlink } else { ListOp::Keep };
            return step(word.draining(), list, true);
        }
        match free.highest() {
            Some(host) if goes_on => step(word.listed(host), ListOp::Link, false),
            _ => step(word, ListOp::Keep, false),
        }
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
    fn draining(self) -> Self {
        Self(self.unlisted().0 | DRAIN)
    }
}
