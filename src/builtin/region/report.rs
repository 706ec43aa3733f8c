//! What a region says of itself.

use core::fmt;

use super::Region;

impl<const PAGE: usize> Region<PAGE> {
    /// Pages that the region can have out at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Pages out now: taken and not put back. Takes the region's lock, as the other counters do.
    #[must_use]
    pub fn pages_out(&self) -> usize {
        self.0.free().out
    }

    /// Pages taken so far: successful calls of [`get`](crate::PageSource::get), all handles together.
    #[must_use]
    pub fn pages_taken(&self) -> u64 {
        self.0.free().taken
    }

    /// Free pages that have their memory, those included that are going to give it back.
    #[must_use]
    pub fn pages_warm(&self) -> usize {
        let free = self.0.free();
        free.warm.len() + free.excess.len()
    }

    /// Pages made accessible so far, out or not: what the system has promised memory for. It rises
    /// up to the capacity and never falls.
    #[must_use]
    pub fn pages_grown(&self) -> usize {
        self.0.free().grown
    }
}

impl<const PAGE: usize> fmt::Debug for Region<PAGE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatting is foreign code, and may wait: not under the lock.
        let (grown, out, warm, cold, taken) = {
            let free = self.0.free();
            (free.grown, free.out, free.warm.len() + free.excess.len(), free.cold.len(), free.taken)
        };
        f.debug_struct("Region")
            .field("page_size", &PAGE)
            .field("capacity", &self.0.capacity)
            .field("grown", &grown)
            .field("out", &out)
            .field("warm", &warm)
            .field("cold", &cold)
            .field("taken", &taken)
            .finish_non_exhaustive()
    }
}
