//! Letting go of the empty pages that an mm keeps.

use core::ptr::NonNull;

use super::{
    apply::install,
    free::grace_over,
    head::{MmHead, queue},
    list::BadLink,
    misuse::bad_link,
};
use crate::{
    embed::Embed,
    page::{PageDesc, word::Word},
    sync::{Ordering, bound},
};

/// So many pages leave the list in one hold of the lock, and so many are looked at.
const SENT: usize = 16;
const LOOKS: usize = bound(64, 2) as usize;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Sends the pages home that are all free, and says how many there were.
    pub(crate) fn shrink(&self) -> usize {
        let mut sent = 0;
        let mut begun = false;
        loop {
            let mut empty = [None; SENT];
            self.lock();
            if !begun {
                // SAFETY: under the lock. Another shrink that is under way goes on from here, too.
                unsafe { self.list().walk_to(self.list().first()) };
                begun = true;
            }
            // SAFETY: under the lock.
            let done = unsafe { self.take_empty(&mut empty) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into()) };
            for page in empty.into_iter().flatten() {
                // SAFETY: the page drains, by us.
                unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
                sent += 1;
            }
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
    /// The caller holds the lock, and queues the pages' heads when it has released it.
    unsafe fn take_empty(
        &self,
        empty: &mut [Option<NonNull<PageDesc>>; SENT],
    ) -> Result<bool, NonNull<PageDesc>> {
        let mut room = empty.iter_mut();
        for _ in 0..LOOKS {
            // SAFETY: under the lock.
            let Some(page) = (unsafe { self.list().walk() }) else { return Ok(true) };
            // SAFETY: descriptors are type-stable.
            let word = unsafe { &page.as_ref().word };
            let now = word.load(Ordering::Relaxed);
            let listed = Word::<FRAGS>::from_bits(now);
            // SAFETY: under the lock, a page of the list.
            let checked = unsafe { self.list().check(&self.source, page, listed) };
            checked.map_err(|BadLink| page)?;
            // SAFETY: as above, and checked.
            let behind = unsafe { self.list().after(&self.source, page, listed) };
            if listed.is_all_free() {
                let Some(place) = room.next() else { return Ok(false) };
                // Who takes a fragment at this moment keeps the page; a weak exchange that fails for
                // nothing is made again.
                while word.load(Ordering::Relaxed) == now {
                    if install(word, now, listed.close()).is_ok() {
                        // SAFETY: checked above; a draining page's host is nobody's.
                        unsafe { self.unlink(page, listed) };
                        self.unreserve_empty();
                        *place = Some(page);
                        break;
                    }
                }
            }
            // SAFETY: under the lock, and the page behind a listed one is listed.
            unsafe { self.list().walk_to(behind) };
        }
        Ok(false)
    }
}
