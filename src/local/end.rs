//! Where a handle lets go of what it holds, for now or for good.

use super::{
    Local,
    part::{GONE, LEFT, LocalPart, OVER, SENT},
};
use crate::{embed::Embed, insist::insist, sync::Ordering};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Lets go of all that the handle holds; it stays usable. What waits for a grace period goes
    /// to its pages when that is over, by itself.
    pub fn flush(&mut self) {
        self.look();
        // Before the callback gets the rest: when a hook panics here, nothing is left in front of that.
        self.empty();
        if self.in_flight() {
            let state = &self.part().state;
            // Relaxed: the call has ordered all that the callback needs. If it was faster there is
            // something to look at.
            let left = state.compare_exchange(SENT, LEFT, Ordering::Relaxed, Ordering::Relaxed);
            self.left |= left.is_ok();
            self.schedule();
            if left.is_err() {
                self.look();
                self.give_back_all_ready();
            }
        }
    }

    /// Ends the handle. After a panic it may be called once more: what had been let go by then is not there any
    /// more.
    fn end(&mut self) {
        self.empty();
        if self.in_flight() {
            // Release: all use of the part happens before the callback ends it. Acquire as in `look`.
            match self.part().state.swap(GONE, Ordering::AcqRel) {
                // The callback ends the part.
                SENT | LEFT => return,
                OVER => {
                    self.ready = self.sent;
                    self.give_back_all_ready();
                }
                _ => {}
            }
        }
        // SAFETY: no call is in flight, and the ring is empty.
        unsafe { LocalPart::end(self.part) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Local<FRAGS, SIZE, E> {
    fn drop(&mut self) {
        insist(self, Self::end);
    }
}
