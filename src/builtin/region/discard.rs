//! Giving the memory of free pages back to the system.

use core::ptr::NonNull;
use std::sync::PoisonError;

use super::Inner;
use crate::page::PageDesc;

/// The most pages that give their memory back together, and that come back before one takes the lock.
pub(super) const TOGETHER: usize = 64;

impl Inner {
    /// So many pages give their memory back together: an eighth as many as keep it, 64 at most.
    pub(super) fn together(&self) -> usize {
        (self.keep / 8).clamp(1, TOGETHER)
    }

    /// Gives memory back to the system if enough pages wait for that: as many as one call is for, so that
    /// each of many threads does its share. Nobody waits here; who has no page at all comes first.
    pub(super) fn discard_excess<const PAGE: usize>(&self) {
        // Once more for those that came back meanwhile and found room; not for ever, since others do their share.
        let _ = self.discard_some::<PAGE>() && self.discard_some::<PAGE>();
    }

    /// Gives the memory of as many pages back as one call is for; says whether there were so many.
    fn discard_some<const PAGE: usize>(&self) -> bool {
        let together = self.together();
        let Ok(_under_way) = self.discarding.try_read() else { return false };
        let mut numbers = [0; TOGETHER];
        let numbers = &mut numbers[..together];
        {
            let mut free = self.free();
            if free.excess.len() < together {
                return false;
            }
            for number in &mut *numbers {
                // SAFETY: the region lives, and this is its lock.
                let Some(page) = (unsafe { free.excess.pop() }) else {
                    unreachable!("the stack has as many")
                };
                *number = self.number(page);
            }
            self.settle(&mut free);
        }
        // They are on no stack now, so that the system is called without the lock: for a run of neighbours
        // at a time, or if it refuses that, as it does locked memory, for each.
        numbers.sort_unstable();
        for run in numbers.chunk_by(|one, next| one + 1 == *next) {
            if self.discard::<PAGE>(run) {
                self.put_down(run, true);
            } else {
                run.chunks(1).for_each(|one| self.put_down(one, self.discard::<PAGE>(one)));
            }
        }
        true
    }

    /// Takes a page when nobody is giving memory back any more: those that have done so can be had then.
    pub(super) fn take_after_discards(&self) -> Option<NonNull<PageDesc>> {
        let _nobody = self.discarding.write().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut self.free())
    }

    /// Gives back the memory of pages that are neighbours, and says whether the system took it.
    fn discard<const PAGE: usize>(&self, run: &[usize]) -> bool {
        let start = run[0] * PAGE;
        // SAFETY: these pages are at home, and nobody else can find them.
        unsafe { self.pages.discard(start..start + run.len() * PAGE) }.is_ok()
    }

    fn put_down(&self, numbers: &[usize], cold: bool) {
        let mut free = self.free();
        for &number in numbers {
            // SAFETY: it is the number of a page.
            let page = unsafe { self.nth(number) };
            let stack = if cold { &mut free.cold } else { &mut free.warm };
            // SAFETY: the page is on no stack, and this is the lock.
            unsafe { stack.push(page) };
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{sync::PoisonError, vec::Vec};

    use crate::{PageSource, Region};

    /// Who puts pages back while another thread gives memory back gives back its own share.
    #[test]
    fn each_does_its_share() {
        const KEEP: usize = 64;
        let region = Region::<4096>::with_keep(1024, KEEP).unwrap();
        let pages: Vec<_> = (0..1024).map(|_| region.get().unwrap()).collect();
        let _another = region.0.discarding.read().unwrap_or_else(PoisonError::into_inner);
        for page in pages {
            // SAFETY: the page is from this region and is put back once.
            unsafe { region.put(page) };
        }
        // Less than a call's worth is left.
        assert!(region.pages_warm() < KEEP + KEEP / 8, "{} are warm", region.pages_warm());
    }
}
