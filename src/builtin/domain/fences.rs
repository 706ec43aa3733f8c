//! Who makes the full fence of a reader.

use crate::sync::{Ordering, fence, fence_everywhere, light_fence, may_fence_everywhere};

/// How the fences of readers and those that they pair with are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fences {
    /// Everybody makes one's own.
    Symmetric,
    /// Readers make none. Whoever needs theirs has the system make one in every thread.
    Asymmetric,
}

impl Fences {
    /// Asymmetric ones, where the system has them.
    pub(super) fn asymmetric() -> Self {
        if may_fence_everywhere() { Self::Asymmetric } else { Self::Symmetric }
    }

    /// A reader's, between its announcement and its section.
    #[inline]
    pub(super) fn light(self) {
        match self {
            // SeqCst: pairs with `heavy`, and with the fence in `Clock::tag`.
            Self::Symmetric => fence(Ordering::SeqCst),
            Self::Asymmetric => light_fence(),
        }
    }

    /// What pairs with a reader's. Whether there was one: the system may have no memory for it.
    pub(super) fn heavy(self) -> bool {
        match self {
            // SeqCst: pairs with `light`, and with the fence in `Clock::tag`.
            Self::Symmetric => {
                fence(Ordering::SeqCst);
                true
            }
            Self::Asymmetric => fence_everywhere(),
        }
    }
}
