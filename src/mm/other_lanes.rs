//! Taking from another lane than one's own.

use core::ptr::NonNull;

use super::{
    head::MmHead,
    list::BadLink,
    misuse::bad_link,
    take::{Locked, Take},
};
use crate::{
    embed::{Embed, RawLock},
    page::{PageDesc, mask::Mask, word::Word},
    sync::Ordering,
};

/// With more pages than these in a lane, takers of others fetch some over though it is in use.
const RICH: u32 = 8;

/// Who fetches a page looks at so many lanes before, however many there are.
const GLANCE: usize = 8;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Another lane from which a taker of this one had better take than from a page of its own: one that nobody takes
    /// from himself, as far as a second look shows, or that has plenty.
    pub(super) fn lane_to_take_from(&self, lane: usize) -> Option<usize> {
        let takes = |other| self.lanes.side(other).takes.load(Ordering::Relaxed);
        let is_rich = |other| self.lanes.side(other).pages.load(Ordering::Relaxed) > RICH;
        let watched = &self.lanes.side(lane).watched;
        let seen = watched.load(Ordering::Relaxed);
        let before = (seen >> 32) as usize & self.all_lanes().end();
        let is_idle = before != lane && takes(before) == seen as u32;
        if is_idle && self.first_in(before).is_some() {
            return Some(before);
        }
        // The next one in turn, so that each is seen now and then; or where the next look begins.
        let (next, is_found) = match self.other_lanes(lane, before, GLANCE).next() {
            Some(next) => (next, true),
            None => ((before + GLANCE) & self.all_lanes().end(), false),
        };
        watched.store((next as u64) << 32 | u64::from(takes(next)), Ordering::Relaxed);
        Some(next).filter(|&next| is_found && is_rich(next))
    }

    /// Counts a take under the lock by a taker of this lane.
    ///
    /// # Safety
    /// The caller holds its lock.
    pub(super) unsafe fn count_take(&self, lane: usize) {
        let takes = &self.lanes.side(lane).takes;
        takes.store(takes.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes from another lane: from a page that is fetched over, or from the only one that is shown there. `None` if
    /// somebody holds the lock there, or there is nothing any more: nobody waits for others than those of its own lane.
    pub(super) fn take_from(&self, from: usize, to: usize, take: Take<FRAGS>) -> Option<Locked> {
        self.lock(to);
        let found = self.lanes.side(from).lock.try_lock().then(|| {
            // SAFETY: under both locks.
            let found = unsafe { self.take_over(from, to, take) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), from) };
            found
        });
        // SAFETY: as above.
        unsafe { Self::unlock(self.into(), to) };
        self.unwrap_found(found?)
    }

    /// # Safety
    /// The caller holds the locks of both lanes, which are two.
    unsafe fn take_over(&self, from: usize, to: usize, take: Take<FRAGS>) -> Found {
        // SAFETY: under the locks.
        let open = [from, to].into_iter().all(|lane| unsafe { self.is_open(lane) });
        let [shown, quiet] = self.lists(from);
        let Some(page) = quiet.first().or_else(|| shown.first()).filter(|_| open) else {
            return Ok(None);
        };
        // SAFETY: under the locks, and the first page of a list.
        unsafe { self.move_over(page, to) }.map_err(|broken| (page, broken))?;
        // SAFETY: under the lock of its lane, whichever that is.
        let mask = unsafe { self.take_listed(page, take) }.map_err(|broken| (page, broken))?;
        Ok(Some((page, mask)))
    }

    /// Moves a page to another lane, unless it is the only one that is shown in its own.
    ///
    /// # Safety
    /// The caller holds the locks of both lanes, and the page is listed.
    unsafe fn move_over(&self, page: NonNull<PageDesc>, to: usize) -> Result<(), BadLink> {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // LISTED, HOST, SHOWN and the lane change only under the lock.
        let there = Word::<FRAGS>::from_bits(desc.word.load(Ordering::Relaxed));
        // SAFETY: under the lock, the first page of a list.
        unsafe { self.check(page, there) }?;
        // SAFETY: just checked.
        let next = unsafe { self.list_of(there).after(&self.source, page, there) };
        if there.is_shown() && next.is_none() {
            return Ok(());
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
        Ok(())
    }

    /// Takes from whichever lane has something, under the locks of all: a page that moves meanwhile could be overlooked.
    ///
    /// Nobody waits for one lock while it holds another: a holder that has stopped stops this taker, and not those of the
    /// lanes before.
    pub(super) fn take_from_all(&self, lane: usize, take: Take<FRAGS>) -> Option<Locked> {
        while let Err(held) = self.try_lock_all() {
            self.lock(held);
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), held) };
        }
        // SAFETY: under the lock.
        let found = if unsafe { self.is_open(lane) } {
            self.first().map_or(Ok(None), |page| {
                // SAFETY: under the lock of its lane, the first page of a list.
                let taken = unsafe { self.take_listed(page, take) };
                taken.map(|mask| Some((page, mask))).map_err(|broken| (page, broken))
            })
        } else {
            Ok(None)
        };
        self.unlock_below(self.all_lanes().count());
        self.unwrap_found(found)
    }

    /// Takes the locks of all lanes, or none and says whose is held.
    fn try_lock_all(&self) -> Result<(), usize> {
        let held = self.all_lanes().find(|&lane| !self.lanes.side(lane).lock.try_lock());
        held.map_or(Ok(()), |held| {
            self.unlock_below(held);
            Err(held)
        })
    }

    /// Releases the locks of the first so many lanes, which the caller holds.
    fn unlock_below(&self, end: usize) {
        for lane in (0..end).rev() {
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), lane) };
        }
    }

    fn unwrap_found(&self, found: Found) -> Option<Locked> {
        match found {
            Ok(found) => found.map(|(page, mask)| Locked::Taken(page, mask)),
            Err((page, BadLink)) => bad_link::<FRAGS, E::Source>(&self.source, page),
        }
    }
}

/// What a page gave under the lock, if there was one, or the page that is broken.
type Found = Result<Option<(NonNull<PageDesc>, Mask)>, (NonNull<PageDesc>, BadLink)>;
