//! The mm's close.

use core::{mem, ptr::NonNull};

use super::{apply::install, head::MmHead, home::go_home, misuse::bad_link};
use crate::{
    embed::Embed,
    page::{
        PageDesc,
        word::{Step, Word},
    },
    sync::Ordering,
};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Closes the mm: takes every page off the list, and lists none again. Never waits for a grace
    /// period.
    pub(crate) fn close(&self) {
        self.close_from(0);
    }

    fn close_from(&self, first: usize) {
        self.all_lanes().skip(first).for_each(|lane| self.close_lane(lane));
    }

    fn close_lane(&self, lane: usize) {
        loop {
            self.lock(lane);
            // SAFETY: under the lock.
            unsafe { self.set_closed(lane) };
            let Some(page) = self.first_in(lane) else { break };
            // SAFETY: under the lock, a list's first page.
            let step = unsafe { self.unlist(page) };
            // SAFETY: ours; the caller's handle is the pin.
            unsafe { Self::unlock(self.into(), lane) };
            match step {
                None => {
                    let _rest = Rest(self, lane + 1);
                    bad_link::<FRAGS, E::Source>(&self.source, page);
                }
                Some(step) => {
                    let rest = Rest(self, lane);
                    // SAFETY: the step was made just now.
                    unsafe { go_home::<FRAGS, SIZE, E>(page, step) };
                    mem::forget(rest);
                }
            }
        }
        // SAFETY: as above.
        unsafe { Self::unlock(self.into(), lane) };
    }

    /// Takes a page off the list of an mm that closes; `None` when the list is broken.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is on the list.
    unsafe fn unlist(&self, page: NonNull<PageDesc>) -> Option<Step<FRAGS>> {
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let mut now = word.load(Ordering::Relaxed);
        let listed = Word::<FRAGS>::from_bits(now);
        // SAFETY: under the lock.
        unsafe { self.check(page, listed) }.ok()?;
        // Here the list goes first: once LISTED is clear, the others can bring the page to its
        // release without the lock, and it must not happen under our hands. The change below
        // releases the unlinking, and the wiping of the node, to whoever sends the page home.
        // SAFETY: checked just now, and the host of a listed page is only taken under the lock.
        unsafe { self.unlink(page, listed) };
        loop {
            let step = Word::from_bits(now).close();
            match install(word, now, step) {
                Ok(()) => return Some(step),
                Err(seen) => now = seen,
            }
        }
    }
}

/// Goes on with a close, from this lane on, when the hook has panicked for one of the pages, or a list was broken.
struct Rest<'a, const FRAGS: usize, const SIZE: usize, E: Embed>(&'a MmHead<FRAGS, SIZE, E>, usize);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Rest<'_, FRAGS, SIZE, E> {
    fn drop(&mut self) {
        self.0.close_from(self.1);
    }
}
