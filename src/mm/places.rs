//! The empty pages that an mm keeps: each has a place of its own.

use core::mem;

use super::head::MmHead;
use crate::{
    embed::Embed,
    page::word::{Lists, Step},
    sync::Ordering,
};

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// The step that is to be made in the place of `step`, if that sends the page home and there is a place
    /// for it: `keeping`, which says what keeps it.
    ///
    /// `lists` is what `step` was made with; a closed mm keeps nothing. `reserved` is whether a place is the
    /// caller's. If it is not needed it is given up here, before the
    /// change of the word, which may let the head go.
    #[inline(always)]
    pub(super) fn with_place<M>(
        &self,
        step: Step<FRAGS>,
        lists: Lists,
        reserved: &mut bool,
        keeping: impl FnOnce() -> Result<Step<FRAGS>, M>,
    ) -> Result<Step<FRAGS>, M> {
        // SAFETY: the caller has a pin, so nobody writes.
        let keep = self.keep.with(|keep| unsafe { *keep });
        if keep != 0 && lists == Lists::Partial && step.home.is_some() {
            let kept = keeping()?;
            if kept.keeps_empty() && (*reserved || self.reserve_empty(keep)) {
                *reserved = true;
                return Ok(kept);
            }
        }
        self.give_up(reserved);
        Ok(step)
    }

    /// Reserves one of `keep` places; `false` when there is none.
    #[cold]
    fn reserve_empty(&self, keep: u32) -> bool {
        let more = |empty: u32| (empty < keep).then(|| empty + 1);
        // Relaxed: the change of the word that makes a page empty comes after it, and whoever gives the
        // place up has seen that.
        self.counts.empty.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Gives a place up that was not needed.
    pub(super) fn give_up(&self, reserved: &mut bool) {
        if mem::take(reserved) {
            self.unreserve_empty();
        }
    }

    /// Gives the place of a page up that is not empty any more, or not on the list.
    #[inline]
    pub(super) fn unreserve_empty(&self) {
        self.counts.empty.fetch_sub(1, Ordering::Relaxed);
    }
}
