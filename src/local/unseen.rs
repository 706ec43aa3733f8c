//! What comes back to a handle that no reader has seen: it is ready at once.

use core::mem::ManuallyDrop;

use super::Local;
use crate::{embed::Embed, frag::Frag, mm::batch::Batch};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Gives back a fragment that no reader has seen, to be the next that this handle hands out: a few loads
    /// and stores of the thread's own.
    ///
    /// One that finds the handle full lets go of half of what is ready, in one go: another handle of the mm
    /// may take that, or an allocation that finds the source empty; or if nobody has yet taken what was let go
    /// before, it goes back to its pages. Where that is nothing, while what a flushed handle has sent is not back yet, and where the fragment is another
    /// mm's, it is [given back](Frag::give_back) without the handle.
    #[inline]
    pub fn give_back(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        let frag = self.refuse_held(frag);
        if self.first == self.low || !frag.is_of(self.head) {
            return self.give_back_slowly(frag);
        }
        // SAFETY: `first` is not `low`.
        unsafe { self.put_in_front(frag) };
    }

    /// # Safety
    /// There is room in front.
    #[inline]
    unsafe fn put_in_front(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        let frag = ManuallyDrop::new(frag);
        frag.call_hook();
        self.first = self.first.wrapping_sub(1);
        // SAFETY: the ring is not full, so the place in front is the handle's, and empty.
        unsafe { self.part().ring.put(self.first, frag) };
    }

    #[cold]
    #[inline(never)]
    fn give_back_slowly(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        if !frag.is_of(self.head) {
            return drop(frag);
        }
        self.look();
        self.schedule();
        if self.first == self.low {
            let half = self.ready.wrapping_sub(self.first).div_ceil(2);
            // What a flushed handle has sent goes to its pages, and the places are skipped with all that is
            // in front of them; so nothing is put there, and nothing is ready.
            if half == 0 {
                return drop(frag);
            }
            self.let_go(half);
        }
        // SAFETY: there was room, or there is now.
        unsafe { self.put_in_front(frag) };
    }

    /// Takes a ready fragment that leaves the handle unused. Its place counts as empty before it is touched, so
    /// that a panic over a caller's bug leaves the handle as it says it is.
    ///
    /// # Safety
    /// One is ready.
    pub(super) unsafe fn take_ready(&mut self) -> Frag<FRAGS, SIZE, E> {
        let at = self.first;
        self.first = at.wrapping_add(1);
        self.claimed = self.claimed.wrapping_sub(1);
        // SAFETY: a ready place holds a fragment of the handle's.
        unsafe { self.part().ring.take(at) }
    }

    /// Puts a fragment in front of those that are ready, as if it had not been [taken](Self::take_ready).
    ///
    /// # Safety
    /// There is room in front, and the fragment is of this mm.
    pub(super) unsafe fn put_ready(&mut self, frag: ManuallyDrop<Frag<FRAGS, SIZE, E>>) {
        self.first = self.first.wrapping_sub(1);
        self.claimed = self.claimed.wrapping_add(1);
        // SAFETY: the ring is not full, so the place in front is the handle's, and empty.
        unsafe { self.part().ring.put(self.first, frag) };
    }

    /// Gives back all that is ready.
    pub(super) fn give_back_all_ready(&mut self) {
        self.give_back_ready(self.ready.wrapping_sub(self.first));
    }

    /// Gives back so many of those that are ready.
    pub(super) fn give_back_ready(&mut self, count: u32) {
        let to = self.first.wrapping_add(count);
        let ready = core::iter::from_fn(|| {
            // SAFETY: as many are ready.
            (self.first != to).then(|| unsafe { self.take_ready() }.into_pieces())
        });
        // SAFETY: the fragments are the handle's, which does not hold them any more.
        unsafe { Batch::<false, FRAGS, SIZE, E>::free(ready) };
    }
}
