//! Freeing many fragments: neighbours on one page by one compare-and-swap, and what goes on the list
//! or leaves it in one hold of the lock.

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use crate::{
    apply::Wait,
    embed::Embed,
    frag::Frag,
    free,
    head::{MmHead, queue},
    list::BadLink,
    mask::Mask,
    misuse::bad_link,
    pieces::Pieces,
    word::{Lists, NotUsed, Step, Word},
};

/// So many pages are gathered at most, and changed in one hold of the lock.
const PAGES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 16 };

/// Pages whose fragments are to be freed. Each place is emptied before its page is touched, or when
/// the page has been seen to.
pub(crate) type Gathered = [Option<Pieces>; PAGES];

/// Gathers fragments, and frees them when there are enough, or at the end; also when the iterator
/// that they come from panics.
pub(crate) struct Batch<const FRAGS: usize, const SIZE: usize, E: Embed> {
    gathered: Gathered,
    len: usize,
    free: unsafe fn(&mut Gathered),
    mm: PhantomData<fn(E) -> E>,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Batch<FRAGS, SIZE, E> {
    /// To be retired.
    pub(crate) fn to_retire() -> Self {
        Self::new(retire::<FRAGS, SIZE, E>)
    }

    /// To be given back.
    pub(crate) fn to_give_back() -> Self {
        Self::new(give_back::<FRAGS, SIZE, E>)
    }

    fn new(free: unsafe fn(&mut Gathered)) -> Self {
        Self { gathered: [None; PAGES], len: 0, free, mm: PhantomData }
    }

    pub(crate) fn add(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        let piece = ManuallyDrop::new(frag).pieces();
        let last = self.gathered[..self.len].last_mut().and_then(Option::as_mut);
        if let Some(last) = last.filter(|last| last.page == piece.page) {
            last.mask = last.mask | piece.mask;
            return;
        }
        if self.len == PAGES {
            self.flush();
        }
        self.gathered[self.len] = Some(piece);
        self.len += 1;
    }

    fn flush(&mut self) {
        self.len = 0;
        // SAFETY: the fragments' tokens were consumed.
        unsafe { (self.free)(&mut self.gathered) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Batch<FRAGS, SIZE, E> {
    fn drop(&mut self) {
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
        // SAFETY: the page pins its mm's head.
        if !unsafe { MmHead::give_back_locked(head, gathered) } {
            // A closed mm lists nothing, and its words are changed without the lock.
            for pieces in gathered.iter_mut().filter_map(Option::take) {
                // SAFETY: passed on to the caller.
                unsafe { free::give_back::<FRAGS, SIZE, E>(pieces) };
            }
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Gives back those fragments of this mm with which a page goes on the list or leaves it, all in
    /// one hold of the lock. Says whether the mm is open; if not, nothing has changed.
    ///
    /// # Safety
    /// As for [`retire`], and one of the pages is this mm's.
    unsafe fn give_back_locked(head: NonNull<Self>, gathered: &mut Gathered) -> bool {
        let mut draining = [None; PAGES];
        let mut broken = None;
        // SAFETY: one of the pages pins the head.
        let this = unsafe { head.as_ref() };
        this.lock();
        // SAFETY: under the lock.
        let open = unsafe { this.is_open() };
        for (place, drains) in gathered.iter_mut().zip(&mut draining) {
            let Some(Pieces { page, mask, .. }) = *place else { continue };
            // SAFETY: the page is out, since its fragments are still used.
            if !open || unsafe { Self::of_page(page) } != head {
                continue;
            }
            let freed = |word| this.freed(word, mask);
            // SAFETY: under the lock, and the fragments are used.
            match unsafe { this.apply_locked(page, freed) } {
                Ok(None) => continue,
                Ok(Some(step)) => *drains = step.call.then_some(page),
                Err(BadLink) => broken = Some(page),
            }
            *place = None;
        }
        // SAFETY: ours. The mm is open, and its owner's pin stays until it gets the lock; or nothing
        // was changed, and the page is still the pin.
        unsafe { Self::unlock(head) };
        for page in draining.into_iter().flatten() {
            // SAFETY: the page drains, by us.
            unsafe { queue::<FRAGS, SIZE, E>(page, free::grace_over::<FRAGS, SIZE, E>) };
        }
        if let Some(page) = broken {
            // SAFETY: the page was not changed, so it still pins the head.
            bad_link::<FRAGS, E::Source>(unsafe { &head.as_ref().source }, page);
        }
        open
    }

    /// The word of an open mm's page with fragments given back.
    fn freed(&self, word: Word<FRAGS>, mask: Mask) -> Result<Step<FRAGS>, NotUsed> {
        let step = word.give_back(mask, Lists::Partial)?;
        if step.empties() && self.keeps_empty() {
            return word.give_back(mask, Lists::Empty);
        }
        Ok(step)
    }
}
