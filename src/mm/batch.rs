//! Freeing many fragments: those of one page by one compare-and-swap, and what goes on the list
//! or leaves it in one hold of the lock.

use core::{marker::PhantomData, mem, ptr::NonNull};

use super::{apply::Wait, free, head::MmHead, home::go_home_all, list::BadLink, misuse::bad_link};
use crate::{
    embed::Embed,
    page::{
        Pieces,
        word::{Lists, Word},
    },
    sync::{Ordering, bound},
};

/// So many pages are gathered at most, and changed in one hold of the lock.
const PAGES: usize = bound(16, 2) as usize;

/// Pages whose fragments are to be freed. Each place is emptied before its page is touched, or when
/// the page has been seen to.
pub(crate) type Gathered = [Option<Pieces>; PAGES];

/// Gathers fragments to be retired or else given back, and does so when there are enough, or at the
/// [end](Self::finish). A panic, be it of the iterator that they come from or over one of them,
/// leaves none of the others behind.
pub(crate) struct Batch<const RETIRE: bool, const FRAGS: usize, const SIZE: usize, E: Embed> {
    gathered: Gathered,
    len: usize,
    mm: PhantomData<fn(E) -> E>,
}

impl<const RETIRE: bool, const FRAGS: usize, const SIZE: usize, E: Embed>
    Batch<RETIRE, FRAGS, SIZE, E>
{
    const EMPTY: Self = Self { gathered: [None; PAGES], len: 0, mm: PhantomData };

    /// Frees all of them.
    ///
    /// # Safety
    /// What the iterator yields belongs to mms of this type, and the caller owns it.
    pub(crate) unsafe fn free(pieces: impl Iterator<Item = Pieces>) {
        let mut batch = Self::EMPTY;
        pieces.for_each(|piece| batch.add(piece));
        batch.finish();
    }

    fn add(&mut self, piece: Pieces) {
        // The latest first, since neighbours are the likeliest. Two tokens of one fragment must not pass for
        // one.
        let joins =
            |there: &&mut Pieces| there.page == piece.page && (there.mask & piece.mask).is_empty();
        if let Some(there) = self.gathered[..self.len].iter_mut().rev().flatten().find(joins) {
            there.mask = there.mask | piece.mask;
            return;
        }
        let full = (self.len == PAGES).then(|| mem::replace(self, Self::EMPTY));
        self.gathered[self.len] = Some(piece);
        self.len += 1;
        if let Some(full) = full {
            full.finish();
        }
    }

    /// Frees what was gathered. Should that panic, the drop goes on with what is left.
    fn finish(mut self) {
        self.flush();
        mem::forget(self);
    }

    fn flush(&mut self) {
        let gathered = &mut self.gathered;
        if RETIRE {
            // SAFETY: `free` was promised that the fragments are its.
            unsafe { retire::<FRAGS, SIZE, E>(gathered) };
        } else {
            // SAFETY: as above.
            unsafe { give_back::<FRAGS, SIZE, E>(gathered) };
        }
    }
}

/// While a panic unwinds: a second one would end the process, so what is not used, as a caller's bug
/// has it, is let go. (Two lists that were overwritten do end it.)
impl<const RETIRE: bool, const FRAGS: usize, const SIZE: usize, E: Embed> Drop
    for Batch<RETIRE, FRAGS, SIZE, E>
{
    fn drop(&mut self) {
        for place in &mut self.gathered {
            place.take_if(|pieces| {
                // SAFETY: descriptors are type-stable.
                let word = unsafe { &pieces.page.as_ref().word };
                let word = Word::<FRAGS>::from_bits(word.load(Ordering::Relaxed));
                !(pieces.mask - word.used()).is_empty()
            });
        }
        self.flush();
    }
}

/// # Safety
/// The pages belong to mms of this type, and the caller owns the fragments.
unsafe fn retire<const FRAGS: usize, const SIZE: usize, E: Embed>(gathered: &mut Gathered) {
    for pieces in gathered.iter_mut().filter_map(Option::take) {
        // SAFETY: passed on to the caller.
        unsafe { free::retire::<FRAGS, SIZE, E>(pieces) };
    }
}

/// # Safety
/// As for [`retire`].
unsafe fn give_back<const FRAGS: usize, const SIZE: usize, E: Embed>(gathered: &mut Gathered) {
    loop {
        for place in gathered.iter_mut() {
            let Some(pieces) = place.take() else { continue };
            // SAFETY: passed on to the caller.
            if !unsafe { free::try_give_back::<FRAGS, SIZE, E>(pieces, Wait::NotAtAll) } {
                *place = Some(pieces);
            }
        }
        // The rest needs the lock, or did so just now.
        let Some(&Pieces { page, .. }) = gathered.iter().flatten().next() else { return };
        // SAFETY: the page is out, since its fragments are still used.
        let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let lane = Word::<FRAGS>::from_bits(word.load(Ordering::Relaxed)).lane();
        // SAFETY: the page pins its mm's head.
        if !unsafe { MmHead::give_back_locked(head, lane, gathered) } {
            // A closed lane lists nothing, and the words of its pages are changed without the lock.
            for pieces in gathered.iter_mut().filter_map(Option::take) {
                // SAFETY: passed on to the caller.
                unsafe { free::give_back::<FRAGS, SIZE, E>(pieces) };
            }
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Gives back those fragments of this mm with which a page goes on a list of the lane or leaves it, all in
    /// one hold of the lock. Says whether the mm is open; if not, nothing has changed.
    ///
    /// # Safety
    /// As for [`retire`], and one of the pages is this mm's.
    unsafe fn give_back_locked(head: NonNull<Self>, lane: usize, gathered: &mut Gathered) -> bool {
        let mut changed = [None; PAGES];
        let mut broken = None;
        // SAFETY: one of the pages pins the head.
        let this = unsafe { head.as_ref() };
        this.lock(lane);
        // SAFETY: under the lock.
        let open = unsafe { this.is_open(lane) };
        for (place, goes) in gathered.iter_mut().zip(&mut changed) {
            let Some(Pieces { page, mask, .. }) = *place else { continue };
            // SAFETY: the page is out, since its fragments are still used.
            if !open || unsafe { Self::of_page(page) } != head {
                continue;
            }
            let freed = |word: Word<FRAGS>, lists| word.give_back(mask, lists);
            // SAFETY: under the lock, and the fragments are used.
            match unsafe { this.apply_locked(page, lane, Lists::Partial, &mut false, &freed) } {
                Ok(None) => continue,
                Ok(Some(step)) => *goes = Some((page, step)),
                Err(BadLink) => broken = Some(page),
            }
            *place = None;
        }
        // SAFETY: ours. The mm is open, and its owner's pin stays until it gets the lock; or nothing
        // was changed, and the page is still the pin.
        unsafe { Self::unlock(head, lane) };
        // SAFETY: the steps were made above.
        unsafe { go_home_all::<FRAGS, SIZE, E>(&changed) };
        if let Some(page) = broken {
            // SAFETY: the page was not changed, so it still pins the head.
            bad_link::<FRAGS, E::Source>(unsafe { &head.as_ref().source }, page);
        }
        open
    }
}
