//! Which pages are shown to takers that look without the lock.
//!
//! A taker may look at a page that has left its mm meanwhile, even at another mm's. It touches nothing but
//! the word, and it must not take. So for a grace period after an mm has shown a page, no other mm shows
//! it: the page is *quiet* there, and taken from under the lock.

use core::ptr::NonNull;

use super::{head::MmHead, list::BadLink};
use crate::{
    embed::{Embed, Rcu},
    page::{PageDesc, word::Word},
    sync::Ordering,
};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Whether this mm may show a page that has just come from the source.
    ///
    /// An mm that had its head at the same address is as good as this one: who looks borrows the mm.
    pub(super) fn may_show(&self, desc: &PageDesc) -> bool {
        // SAFETY: the page is the caller's alone.
        let by = unsafe { desc.mm() };
        by.is_null() || core::ptr::eq(by, core::ptr::from_ref(self).cast()) || self.is_unseen(desc)
    }

    /// Whether nobody looks at a page any more who found it when another mm showed it.
    fn is_unseen(&self, desc: &PageDesc) -> bool {
        // Relaxed: the page, or the lock, has come from whoever stored it, or a call of this mm did since,
        // whose ticket is later.
        let ticket = desc.ticket.load(Ordering::Relaxed);
        ticket != 0 && self.rcu.gave(ticket) && self.rcu.has_elapsed(ticket)
    }

    /// Shows a listed page if it is quiet and that is not necessary any more.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is listed.
    pub(super) unsafe fn show(&self, page: NonNull<PageDesc>) -> Result<(), BadLink> {
        // SAFETY: descriptors are type-stable.
        let desc = unsafe { page.as_ref() };
        // LISTED, SHOWN and HOST change only under the lock.
        let quiet = Word::<FRAGS>::from_bits(desc.word.load(Ordering::Relaxed));
        if quiet.is_shown() || !self.is_unseen(desc) {
            return Ok(());
        }
        // SAFETY: passed on to the caller.
        unsafe { self.check(page, quiet) }?;
        // SAFETY: checked, and a quiet page's host is taken under the lock only.
        unsafe { self.unlink(page, quiet) };
        let show = |now| Some(Word::<FRAGS>::from_bits(now).show().bits());
        let shown = desc.word.fetch_update(Ordering::Release, Ordering::Relaxed, show);
        let shown = Word::from_bits(shown.unwrap_or_else(|now| now)).show();
        // SAFETY: it was unlinked just now, and is listed again.
        unsafe { self.link(page, shown) };
        Ok(())
    }
}
