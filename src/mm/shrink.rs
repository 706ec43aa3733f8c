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
    sync::Ordering,
};

/// So many pages leave the list in one hold of the lock.
const HOLD: usize = 16;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Sends the pages home that are all free, and says how many there were.
    pub(crate) fn shrink(&self) -> usize {
        let mut sent = 0;
        loop {
            let mut empty = [None; HOLD];
            self.lock();
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

    /// Takes empty pages off the list, as many as there is room for; says whether these are all.
    ///
    /// # Safety
    /// The caller holds the lock, and queues the pages' heads when it has released it.
    unsafe fn take_empty(
        &self,
        empty: &mut [Option<NonNull<PageDesc>>; HOLD],
    ) -> Result<bool, NonNull<PageDesc>> {
        let mut room = empty.iter_mut();
        let mut next = self.list().first();
        while let Some(page) = next {
            // SAFETY: descriptors are type-stable.
            let word = unsafe { &page.as_ref().word };
            let now = word.load(Ordering::Relaxed);
            let listed = Word::<FRAGS>::from_bits(now);
            // SAFETY: under the lock, a page of the list.
            let checked = unsafe { self.list().check(&self.source, page, listed) };
            checked.map_err(|BadLink| page)?;
            // SAFETY: as above, and checked.
            next = unsafe { self.list().after(&self.source, page, listed) };
            if listed.free() != Word::<FRAGS>::ALL {
                continue;
            }
            let Some(place) = room.next() else { return Ok(false) };
            // Who takes a fragment at this moment keeps the page; a weak exchange that fails for
            // nothing is made again.
            while word.load(Ordering::Relaxed) == now {
                if install(word, now, listed.close()).is_ok() {
                    // SAFETY: checked above; a draining page's host is nobody's.
                    unsafe { self.list().unlink(&self.source, page, listed) };
                    *place = Some(page);
                    break;
                }
            }
        }
        Ok(true)
    }
}
