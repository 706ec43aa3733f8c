//! Where a handle gets fragments when nothing is ready, and where they go when it lets go of them.

use super::{Claim, Local};
use crate::{
    embed::{AllocError, Embed, PageSource},
    mm::{free, head::MmHead},
    page::{Pieces, mask::Mask},
    sync::bound,
};

/// A handle that has handed out less than so many pages' worth takes single fragments, as if there
/// were no handle: a short-lived one, as in a process that only starts another, does not split up
/// its mm's pages.
const COLD: u32 = bound(2, 0);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Sees to it that there is something to hand out; says whether it is in the ring.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(&mut self) -> Result<bool, AllocError> {
        self.look();
        if self.first != self.ready {
            return Ok(true);
        }
        if !self.in_flight() && self.end != self.sent {
            // What was retired is needed sooner than planned.
            self.send();
            self.schedule();
        }
        if self.take_passed() {
            return Ok(true);
        }
        let claimed = if self.handed_out() < COLD * FRAGS as u32 {
            // SAFETY: the part has a pin.
            unsafe { MmHead::take(self.head) }.map(|(page, index)| (page, Mask::single(index)))
        } else {
            // SAFETY: as above.
            unsafe { MmHead::take_page(self.head) }
        };
        match claimed {
            Ok((page, mask)) => {
                // SAFETY: the page is of this source.
                let addr = unsafe { self.head().source.addr(page) };
                self.claimed = self.claimed.wrapping_add(mask.len() as u32);
                self.claim = Claim { page, addr, mask };
                Ok(false)
            }
            Err(error) => {
                self.look();
                if self.first != self.ready { Ok(true) } else { Err(error) }
            }
        }
    }

    /// Lets go of all but what waits for the call in flight. Takes the lock where a page goes on
    /// the list or leaves it.
    pub(super) fn empty(&mut self) {
        self.give_back_all_ready();
        self.retire_back_to(self.sent);
        let Claim { page, addr, mask } = self.claim;
        if !mask.is_empty() {
            self.claimed = self.claimed.wrapping_sub(mask.len() as u32);
            self.claim.mask = Mask::EMPTY;
            // SAFETY: claimed, and nobody has got them since.
            unsafe { free::give_back::<FRAGS, SIZE, E>(Pieces { page, addr, mask }) };
        }
        drop(self.head().take_passed());
        self.schedule();
    }
}
