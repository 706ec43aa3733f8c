//! A second free of what a handle holds, which its page's word cannot tell.

use core::mem::ManuallyDrop;

use super::Local;
use crate::{embed::Embed, frag::Frag, mm::misuse::held};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// In builds with debug assertions, panics over a fragment that the handle holds already, whose second
    /// token is let go then. It comes before all else that a free does, which may send the first one away.
    #[inline]
    pub(super) fn refuse_held(&self, frag: Frag<FRAGS, SIZE, E>) -> Frag<FRAGS, SIZE, E> {
        let frag = ManuallyDrop::new(frag);
        if cfg!(debug_assertions) && self.holds(&frag) {
            let pieces = frag.pieces();
            held::<FRAGS>(pieces.addr, pieces.mask);
        }
        ManuallyDrop::into_inner(frag)
    }

    /// Whether it is one of those claimed, ready, sent or gathered.
    fn holds(&self, frag: &Frag<FRAGS, SIZE, E>) -> bool {
        let pieces = frag.pieces();
        if self.claim.mask.contains(pieces.mask) && self.claim.page == pieces.page {
            return true;
        }
        // Once the handle was flushed, what was sent is the callback's, and may be anybody's by now.
        let (from, to) = if self.left { (self.ready, self.sent) } else { (self.sent, self.sent) };
        let mut at = self.first;
        while at != self.end {
            if at == from {
                at = to;
                if at == self.end {
                    break;
                }
            }
            // SAFETY: the place holds a fragment of the handle's, or one that was sent, at which the
            // callback only looks as well.
            let there = unsafe { self.part().ring.address(at) };
            if there == frag.as_ptr() {
                return true;
            }
            at = at.wrapping_add(1);
        }
        false
    }
}
