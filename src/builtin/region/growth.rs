//! How a region becomes accessible.

use super::{DESC_SHIFT, Inner};

/// Bytes by which either reservation grows at least, unless the system refuses that many.
const CHUNK: usize = 64 << 10;

/// How many bytes of the two reservations are accessible. It has a lock of its own, held while they
/// grow, so that nobody who puts a page waits for `mprotect`.
///
/// # Invariants
/// `pages` is a number of whole pages, or the reservation's length; the first `descs` bytes hold
/// the descriptors of all these pages.
#[derive(Default)]
pub(super) struct Growth {
    pages: usize,
    descs: usize,
}

impl Growth {
    /// Makes more pages accessible and says how many there are now; `None` when the region is at
    /// its capacity or the system refuses.
    pub(super) fn step<const PAGE: usize>(&mut self, region: &Inner) -> Option<usize> {
        // Both are powers of two, so steps of the larger one are whole pages of either kind.
        let unit = PAGE.max(region.unit);
        let wanted = CHUNK.max(self.pages / 8).next_multiple_of(unit);
        // A system that refuses the chunk may still grant what is needed.
        self.extend::<PAGE>(region, wanted).or_else(|| self.extend::<PAGE>(region, unit))
    }

    /// Makes `step` more bytes of pages accessible, or what is left of them.
    fn extend<const PAGE: usize>(&mut self, region: &Inner, step: usize) -> Option<usize> {
        let end = region.pages.len().min(self.pages + step);
        if end == self.pages {
            return None;
        }
        // Where pages are smaller than the system's, the reservation may have room for more of
        // them than were asked for.
        let pages = region.capacity.min(end / PAGE);
        // The descriptors come first, so that a page is never accessible without its own.
        let least = (pages << DESC_SHIFT).next_multiple_of(region.unit);
        if least > self.descs {
            let chunk = region.descs.len().min(least.next_multiple_of(CHUNK.max(region.unit)));
            let descs = [chunk, least]
                .into_iter()
                .find(|&descs| region.descs.commit(self.descs..descs).is_ok())?;
            self.descs = descs;
        }
        region.pages.commit(self.pages..end).ok()?;
        self.pages = end;
        Some(pages)
    }
}
