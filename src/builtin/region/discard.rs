//! Giving the memory of free pages back to the system.

use super::{Inner, lock};

/// The most pages that give their memory back together.
const TOGETHER: usize = 64;

impl Inner {
    /// Gives memory back to the system if enough pages wait for that: an eighth as many as keep it, 64 at
    /// most. One thread at a time does it, and nobody waits for it here.
    pub(super) fn discard_excess<const PAGE: usize>(&self) {
        let together = (self.keep / 8).clamp(1, TOGETHER);
        let Ok(_alone) = self.discarding.try_lock() else { return };
        let mut numbers = [0; TOGETHER];
        let numbers = &mut numbers[..together];
        {
            let mut free = self.free();
            if free.excess.len() < together {
                return;
            }
            for number in &mut *numbers {
                // SAFETY: the region lives, and this is its lock.
                let Some(page) = (unsafe { free.excess.pop() }) else {
                    unreachable!("the stack has as many")
                };
                *number = self.number(page);
            }
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
    }

    /// Waits until nobody gives memory back: pages that did so can be had then.
    pub(super) fn wait_for_discards(&self) {
        drop(lock(&self.discarding));
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
