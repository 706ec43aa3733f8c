//! What a handle has too much of, another handle of the mm may take as it is.

use core::mem::ManuallyDrop;

use super::Local;
use crate::embed::Embed;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Lets go of so many of those that are ready: another handle may have them, or they go to their pages
    /// if one has not taken the last ones yet.
    pub(super) fn let_go(&mut self, count: u32) {
        // SAFETY: the part has a pin.
        let head = unsafe { self.head.as_ref() };
        if head.has_passed() {
            return self.give_back_ready(count);
        }
        let mut chain = head.chain();
        for _ in 0..count {
            // SAFETY: as many are ready.
            chain.push(unsafe { self.take_ready() });
        }
        // If somebody was faster, it goes to its pages.
        chain.pass();
    }

    /// Takes what another handle has passed on, as far as there is room, and says whether something is ready
    /// now. Nothing is.
    pub(super) fn take_passed(&mut self) -> bool {
        // SAFETY: the part has a pin.
        let head = unsafe { self.head.as_ref() };
        if !head.has_passed() {
            return false;
        }
        self.schedule();
        if self.first == self.low {
            return false;
        }
        let mut chain = head.take_passed();
        while self.first != self.low {
            let Some(frag) = chain.next() else { return self.first != self.ready };
            // SAFETY: `first` is not `low`.
            unsafe { self.put_ready(ManuallyDrop::new(frag)) };
        }
        true
    }
}
