//! Linux's powerpc: fragments go out in address order, once each, and are never reused.

use super::{Policy, Tally};

/// The page that an mm is handing out, and how many of its fragments are out.
#[derive(Clone, Copy)]
struct Current {
    page: usize,
    next: u32,
}

/// Per mm one bump pointer into one page, under the mm's lock. A page's count starts at the number
/// of fragments, those not handed out yet included, and drops with each free.
pub(crate) struct Powerpc {
    frags: u32,
    page: usize,
    current: Vec<Option<Current>>,
    /// The count of every page ever taken.
    counts: Vec<u32>,
    /// The page in which each table lives.
    tables: Vec<usize>,
    queued: Vec<usize>,
    tally: Tally,
}

impl Powerpc {
    pub(crate) fn new(frags: usize, size: usize, mms: usize, tables: usize) -> Self {
        Self {
            frags: frags as u32,
            page: frags * size,
            current: vec![None; mms],
            counts: Vec::new(),
            tables: vec![usize::MAX; tables],
            queued: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn drop_counts(&mut self, page: usize, n: u32) {
        self.counts[page] -= n;
        if self.counts[page] == 0 {
            self.tally.held -= 1;
        }
    }
}

impl Policy for Powerpc {
    /// The pages of which a fragment each was freed.
    type Deferred = Vec<usize>;

    fn name(&self) -> &'static str {
        "powerpc"
    }

    fn page_bytes(&self) -> usize {
        self.page
    }

    fn alloc(&mut self, mm: usize, table: usize) -> Result<(), String> {
        self.tally.lock_acquisitions += 1;
        let Current { page, next } = self.current[mm].unwrap_or_else(|| {
            self.tally.held += 1;
            self.tally.taken += 1;
            self.counts.push(self.frags);
            Current { page: self.counts.len() - 1, next: 0 }
        });
        self.tables[table] = page;
        let next = next + 1;
        self.current[mm] = (next < self.frags).then_some(Current { page, next });
        Ok(())
    }

    fn free(&mut self, table: usize) {
        self.tally.rcu_calls += 1;
        self.queued.push(self.tables[table]);
    }

    fn exit(&mut self, mm: usize) {
        if let Some(Current { page, next }) = self.current[mm].take() {
            self.drop_counts(page, self.frags - next);
        }
    }

    fn deferred(&mut self) -> Option<Vec<usize>> {
        Some(std::mem::take(&mut self.queued)).filter(|pages| !pages.is_empty())
    }

    fn grace_over(&mut self, pages: Vec<usize>) {
        for page in pages {
            self.drop_counts(page, 1);
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(policy: &mut Powerpc) {
        let pages = policy.deferred().unwrap();
        policy.grace_over(pages);
    }

    #[test]
    fn fragments_are_never_reused() {
        let mut policy = Powerpc::new(2, 2048, 1, 4);
        policy.alloc(0, 0).unwrap();
        policy.free(0);
        settle(&mut policy);
        // The freed half stays unused: the second table takes the other one, the third a page.
        policy.alloc(0, 1).unwrap();
        policy.alloc(0, 2).unwrap();
        assert_eq!((policy.tally().held, policy.tally().taken), (2, 2));
        policy.free(1);
        assert_eq!(policy.tally().held, 2);
        settle(&mut policy);
        assert_eq!(policy.tally().held, 1);
    }

    #[test]
    fn exit_subtracts_the_unused() {
        let mut policy = Powerpc::new(4, 1024, 2, 2);
        policy.alloc(0, 0).unwrap();
        policy.alloc(1, 1).unwrap();
        policy.free(0);
        settle(&mut policy);
        policy.exit(0);
        // mm 1's table outlives its mm.
        policy.exit(1);
        assert_eq!(policy.tally().held, 1);
        policy.free(1);
        settle(&mut policy);
        assert_eq!(policy.tally().held, 0);
        assert_eq!(policy.tally().lock_acquisitions, 2);
    }
}
