//! Letting go of the empty pages that an mm keeps.

use core::ptr::NonNull;

use super::{
    apply::install,
    head::MmHead,
    home::go_home_all,
    list::{BadLink, PartialList},
    misuse::bad_link,
};
use crate::{
    embed::Embed,
    page::{
        PageDesc,
        word::{Step, Word},
    },
    sync::{Ordering, bound},
};

/// So many pages leave the list in one hold of the lock, and so many are looked at.
const SENT: usize = 16;
const LOOKS: usize = bound(64, 2) as usize;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Sends the pages home that are all free, and says how many there were.
    pub(crate) fn shrink(&self) -> usize {
        let in_lane = |lane| self.lists(lane).map(|list| self.shrink_list(lane, list));
        self.all_lanes().flat_map(in_lane).sum()
    }

    fn shrink_list(&self, lane: usize, list: &PartialList<FRAGS, E::Source>) -> usize {
        let mut sent = 0;
        let mut begun = false;
        loop {
            let mut empty = [None; SENT];
            self.lock(lane);
            if !begun {
                // SAFETY: under the lock. Another shrink that is under way goes on from here, too.
                unsafe { list.walk_to(list.first()) };
                begun = true;
            }
            // SAFETY: under the lock.
            let done = unsafe { self.take_empty(list, &mut empty) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), lane) };
            sent += empty.iter().flatten().count();
            // SAFETY: the steps were made in that hold.
            unsafe { go_home_all::<FRAGS, SIZE, E>(&empty) };
            match done {
                Ok(true) => return sent,
                Ok(false) => {}
                Err(page) => bad_link::<FRAGS, E::Source>(&self.source, page),
            }
        }
    }

    /// Goes on with the walk along the list, and takes empty pages off it, as many as there is room for;
    /// says whether it has come to the end.
    ///
    /// # Safety
    /// The caller holds the lock, and sends the pages home when it has released it.
    unsafe fn take_empty(
        &self,
        list: &PartialList<FRAGS, E::Source>,
        empty: &mut [Option<(NonNull<PageDesc>, Step<FRAGS>)>; SENT],
    ) -> Result<bool, NonNull<PageDesc>> {
        let mut room = empty.iter_mut();
        for _ in 0..LOOKS {
            // SAFETY: under the lock.
            let Some(page) = (unsafe { list.walk() }) else { return Ok(true) };
            // SAFETY: descriptors are type-stable.
            let word = unsafe { &page.as_ref().word };
            let now = word.load(Ordering::Relaxed);
            let listed = Word::<FRAGS>::from_bits(now);
            // SAFETY: under the lock, a page of the list.
            let checked = unsafe { list.check(&self.source, page, listed) };
            checked.map_err(|BadLink| page)?;
            // SAFETY: as above, and checked.
            let behind = unsafe { list.after(&self.source, page, listed) };
            if listed.is_all_free() {
                let Some(place) = room.next() else { return Ok(false) };
                // SAFETY: under the lock, and checked.
                *place = unsafe { self.close_empty(page) }.map(|step| (page, step));
            }
            // SAFETY: under the lock, and the page behind a listed one is listed.
            unsafe { list.walk_to(behind) };
        }
        Ok(false)
    }

    /// Takes a listed page off if it is empty. Who takes a fragment at this moment keeps it.
    ///
    /// # Safety
    /// The caller holds the lock, has checked the page, and sends it home when it has released the lock.
    unsafe fn close_empty(&self, page: NonNull<PageDesc>) -> Option<Step<FRAGS>> {
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let listed = Word::<FRAGS>::from_bits(now);
            if !listed.is_all_free() {
                return None;
            }
            let step = listed.close();
            match install(word, now, step) {
                Ok(()) => {
                    // SAFETY: passed on to the caller, and nobody takes from a page that goes home.
                    unsafe { self.unlink(page, listed) };
                    self.unreserve_empty();
                    return Some(step);
                }
                Err(seen) => now = seen,
            }
        }
    }
}
