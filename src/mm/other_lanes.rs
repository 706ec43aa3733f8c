//! Taking from another lane than one's own.

use core::ptr::NonNull;

use super::{head::MmHead, list::BadLink};
use crate::{
    embed::{Embed, RawLock},
    page::{PageDesc, word::Word},
    sync::Ordering,
};

/// With more pages than these in a lane, takers of others fetch some over though it is in use.
const RICH: u32 = 8;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Another lane from which a taker of this one had better take than from a page of its own: one that nobody takes
    /// from himself, as far as a second look shows, or that has plenty.
    pub(super) fn lane_to_take_from(&self, lane: usize) -> Option<usize> {
        let takes = |other| self.lanes.side(other).takes.load(Ordering::Relaxed);
        let is_rich = |other| self.lanes.side(other).pages.load(Ordering::Relaxed) > RICH;
        let watched = &self.lanes.side(lane).watched;
        let seen = watched.load(Ordering::Relaxed);
        let before = (seen >> 32) as usize;
        let is_idle = before != lane && takes(before) == seen as u32;
        if is_idle && self.first_in(before).is_some() {
            return Some(before);
        }
        // The next one in turn, so that each is seen now and then.
        let next = self.other_lanes(lane, before).next()?;
        watched.store((next as u64) << 32 | u64::from(takes(next)), Ordering::Relaxed);
        Some(next).filter(|&next| is_rich(next))
    }

    /// Counts a take under the lock by a taker of this lane.
    ///
    /// # Safety
    /// The caller holds its lock.
    pub(super) unsafe fn count_take(&self, lane: usize) {
        let takes = &self.lanes.side(lane).takes;
        takes.store(takes.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Fetches a page over from one lane to another: not the only one that is shown there, and only if nobody holds the
    /// lock there; says whether it has.
    pub(super) fn fetch_over(
        &self,
        from: usize,
        to: usize,
    ) -> Result<bool, (NonNull<PageDesc>, BadLink)> {
        self.lock(to);
        let fetched = if self.lanes.side(from).lock.try_lock() {
            // SAFETY: under both locks.
            let fetched = unsafe { self.fetch_over_locked(from, to) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), from) };
            fetched
        } else {
            Ok(false)
        };
        // SAFETY: as above.
        unsafe { Self::unlock(self.into(), to) };
        fetched
    }

    /// # Safety
    /// The caller holds the locks of both lanes, which are two.
    unsafe fn fetch_over_locked(
        &self,
        from: usize,
        to: usize,
    ) -> Result<bool, (NonNull<PageDesc>, BadLink)> {
        // SAFETY: under the locks.
        let open = [from, to].into_iter().all(|lane| unsafe { self.is_open(lane) });
        let [shown, quiet] = self.lists(from);
        let Some(page) = quiet.first().or_else(|| shown.first()).filter(|_| open) else {
            return Ok(false);
        };
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // LISTED, HOST, SHOWN and the lane change only under the lock.
        let there = Word::<FRAGS>::from_bits(desc.word.load(Ordering::Relaxed));
        // SAFETY: under the lock, the first page of a list.
        unsafe { self.check(page, there) }.map_err(|broken| (page, broken))?;
        // SAFETY: just checked.
        let next = unsafe { self.list_of(there).after(&self.source, page, there) };
        if there.is_shown() && next.is_none() {
            return Ok(false);
        }
        // SAFETY: just checked, and its host is taken under the lock only.
        unsafe { self.unlink(page, there) };
        let enter = |now| Some(Word::<FRAGS>::from_bits(now).in_lane(to).bits());
        // Release, as of every change of the word.
        let (set, seen) = (Ordering::Release, Ordering::Relaxed);
        let was = desc.word.fetch_update(set, seen, enter).unwrap_or_else(|now| now);
        let here = Word::<FRAGS>::from_bits(was).in_lane(to);
        // SAFETY: it was unlinked just now, and is listed again.
        unsafe { self.link(page, here) };
        Ok(true)
    }
}
