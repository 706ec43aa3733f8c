//! Giving the memory of free pages back to the system.

use super::{Inner, free::Stack};

/// The most pages that give their memory back together.
const TOGETHER: usize = 64;

impl Inner {
    /// So many pages give their memory back together: an eighth of those that keep it, at most.
    pub(super) fn together(&self) -> usize {
        (self.keep / 8).clamp(1, TOGETHER)
    }

    /// Gives the memory of pages back to the system, a run of neighbours at a time. They are on no stack
    /// of the region's any more, so that it is done without the lock.
    pub(super) fn discard<const PAGE: usize>(&self, mut excess: Stack) {
        let mut numbers = [0; TOGETHER];
        let mut count = 0;
        // SAFETY: the region lives, and nobody else has the stack.
        while let Some(page) = unsafe { excess.pop() } {
            numbers[count] = self.number(page);
            count += 1;
        }
        let numbers = &mut numbers[..count];
        numbers.sort_unstable();
        for run in numbers.chunk_by(|one, next| one + 1 == *next) {
            let start = run[0] * PAGE;
            // SAFETY: these pages are at home, and nobody else can find them.
            let discarded = unsafe { self.pages.discard(start..start + run.len() * PAGE) };
            let mut free = self.free();
            for &number in run {
                // SAFETY: it is the number of a page.
                let page = unsafe { self.nth(number) };
                let stack = match discarded {
                    Ok(()) => &mut free.cold,
                    Err(_) => &mut free.warm,
                };
                // SAFETY: the page is on no stack, and this is the lock.
                unsafe { stack.push(page) };
            }
        }
    }
}
