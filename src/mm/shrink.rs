//! Letting go of the empty pages that an mm keeps.

use core::ptr::{self, NonNull};

use super::{
    apply::install,
    free::grace_over,
    head::{MmHead, queue},
    list::BadLink,
    misuse::bad_link,
};
use crate::{
    embed::{Embed, Rcu},
    page::{PageDesc, word::Word},
    sync::{Ordering, bound},
};

/// So many pages leave the list in one hold of the lock, and so many are looked at.
const SENT: usize = 16;
const LOOKS: usize = bound(64, 2) as usize;

/// Where a walk along the list stands between two holds of the lock.
enum Walk {
    /// At its beginning.
    Front,
    /// Behind this page, if that is still listed.
    Behind(NonNull<PageDesc>),
    /// Behind the last page.
    Over,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Sends the pages home that are all free, and says how many there were.
    pub(crate) fn shrink(&self) -> usize {
        let mut sent = 0;
        // Where others take the page away at which it stands, the walk begins again; not for ever.
        let mut looks = 2 * self.pages() + 1;
        let mut walk = Walk::Front;
        while !matches!(walk, Walk::Over) && looks > 0 {
            let mut empty = [None; SENT];
            // The page behind which the walk stands may be another mm's by now: in a section it cannot change
            // hands between the look at its word and the look at its owner.
            let section = self.rcu.read();
            self.lock();
            // SAFETY: under the lock.
            let done = unsafe { self.take_empty(&mut walk, &mut looks, &mut empty) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into()) };
            drop(section);
            for page in empty.into_iter().flatten() {
                // SAFETY: the page drains, by us.
                unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
                sent += 1;
            }
            if let Err(page) = done {
                bad_link::<FRAGS, E::Source>(&self.source, page);
            }
        }
        sent
    }

    /// Goes on with the walk, and takes empty pages off the list, as many as there is room for.
    ///
    /// # Safety
    /// The caller holds the lock, and queues the pages' heads when it has released it.
    unsafe fn take_empty(
        &self,
        walk: &mut Walk,
        looks: &mut usize,
        empty: &mut [Option<NonNull<PageDesc>>; SENT],
    ) -> Result<(), NonNull<PageDesc>> {
        let mut sent = 0;
        let mut next = match *walk {
            // SAFETY: the page was listed by this mm.
            Walk::Behind(page) => match unsafe { self.listed(page) } {
                // SAFETY: under the lock, a page of the list.
                Some(word) => unsafe { self.checked_after(page, word) }?,
                None => self.list().first(),
            },
            _ => self.list().first(),
        };
        for _ in 0..LOOKS.min(*looks) {
            let Some(page) = next else {
                *walk = Walk::Over;
                return Ok(());
            };
            if sent == SENT {
                return Ok(());
            }
            *looks -= 1;
            // SAFETY: descriptors are type-stable.
            let word = unsafe { &page.as_ref().word };
            let now = word.load(Ordering::Relaxed);
            let listed = Word::<FRAGS>::from_bits(now);
            // SAFETY: under the lock, a page of the list.
            next = unsafe { self.checked_after(page, listed) }?;
            // Who takes a fragment at this moment keeps the page; a weak exchange that fails for
            // nothing is made again.
            while listed.is_all_free() && word.load(Ordering::Relaxed) == now {
                if install(word, now, listed.close()).is_ok() {
                    // SAFETY: checked above; a draining page's host is nobody's.
                    unsafe { self.unlink(page, listed) };
                    self.unreserve_empty();
                    empty[sent] = Some(page);
                    sent += 1;
                    break;
                }
            }
            if sent == 0 || empty[sent - 1] != Some(page) {
                *walk = Walk::Behind(page);
            }
        }
        Ok(())
    }

    /// The word of a page, if this mm lists it now.
    ///
    /// # Safety
    /// The caller holds the lock, in a section that it entered before, and the page is one of the source.
    unsafe fn listed(&self, page: NonNull<PageDesc>) -> Option<Word<FRAGS>> {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // The page may have gone home meanwhile, and be another mm's. Acquire pairs with the Release of
        // the change that listed it, so that its owner is seen with it.
        let word = Word::<FRAGS>::from_bits(desc.word.load(Ordering::Acquire));
        (word.is_listed() && ptr::addr_eq(desc.look_at_mm(), self)).then_some(word)
    }

    /// The page behind a listed one, if both can be relied on.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is on the list, with this word.
    unsafe fn checked_after(
        &self,
        page: NonNull<PageDesc>,
        word: Word<FRAGS>,
    ) -> Result<Option<NonNull<PageDesc>>, NonNull<PageDesc>> {
        // SAFETY: passed on to the caller.
        let checked = unsafe { self.list().check(&self.source, page, word) };
        checked.map_err(|BadLink| page)?;
        // SAFETY: as above, and checked.
        Ok(unsafe { self.list().after(&self.source, page, word) })
    }
}
