//! One page per table: what architectures do whose tables are as large as their pages.

use super::{Policy, Tally};

/// No bookkeeping at all: a page is taken with each table and freed a grace period after it.
pub(crate) struct Plain {
    page: usize,
    tally: Tally,
    freed: u64,
}

impl Plain {
    pub(crate) fn new(page: usize) -> Self {
        Self { page, tally: Tally::default(), freed: 0 }
    }
}

impl Policy for Plain {
    /// How many pages.
    type Deferred = u64;

    fn name(&self) -> &'static str {
        "one page per table"
    }

    fn page_bytes(&self) -> usize {
        self.page
    }

    fn alloc(&mut self, _mm: usize, _table: usize) -> Result<(), String> {
        self.tally.held += 1;
        self.tally.taken += 1;
        Ok(())
    }

    fn free(&mut self, _table: usize) {
        self.tally.rcu_calls += 1;
        self.freed += 1;
    }

    fn exit(&mut self, _mm: usize) {}

    fn deferred(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.freed)).filter(|&pages| pages > 0)
    }

    fn grace_over(&mut self, pages: u64) {
        self.tally.held -= pages;
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_after_the_grace_period() {
        let mut plain = Plain::new(4096);
        plain.alloc(0, 0).unwrap();
        plain.alloc(0, 1).unwrap();
        plain.free(0);
        assert_eq!(plain.tally().held, 2);
        let pages = plain.deferred().unwrap();
        plain.grace_over(pages);
        assert!(plain.deferred().is_none());
        assert_eq!(plain.tally(), Tally { held: 1, taken: 2, rcu_calls: 1, ..Tally::default() });
    }
}
