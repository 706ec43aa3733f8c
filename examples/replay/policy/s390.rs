//! Linux's s390 as of v6.6: pages of two halves, with a list of those that have one to give.

use super::{Policy, Tally};

const USED: [u8; 2] = [1, 2];

/// Both halves of a page. What is neither used nor pending is free.
#[derive(Clone, Copy)]
struct Page {
    mm: usize,
    used: u8,
    pending: u8,
    listed: bool,
}

/// A half that was freed with a grace period does not come back: its page is not listed again, and
/// goes when both halves are free. The lock is taken by every allocation and every free.
pub(crate) struct S390 {
    page: usize,
    /// The listed pages of each mm; the next one to use stands last.
    lists: Vec<Vec<usize>>,
    pages: Vec<Page>,
    /// The page and half in which each table lives.
    tables: Vec<(usize, u8)>,
    queued: Vec<(usize, u8)>,
    tally: Tally,
}

impl S390 {
    pub(crate) fn new(size: usize, mms: usize, tables: usize) -> Self {
        Self {
            page: 2 * size,
            lists: vec![Vec::new(); mms],
            pages: Vec::new(),
            tables: vec![(usize::MAX, 0); tables],
            queued: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn unlist(&mut self, id: usize) {
        let page = &mut self.pages[id];
        if std::mem::take(&mut page.listed) {
            self.lists[page.mm].retain(|&other| other != id);
        }
    }
}

impl Policy for S390 {
    /// Freed halves.
    type Deferred = Vec<(usize, u8)>;

    fn name(&self) -> &'static str {
        "s390"
    }

    fn page_bytes(&self) -> usize {
        self.page
    }

    fn alloc(&mut self, mm: usize, table: usize) -> Result<(), String> {
        self.tally.lock_acquisitions += 1;
        let (id, half) = if let Some(id) = self.lists[mm].pop() {
            self.pages[id].listed = false;
            (id, USED[1])
        } else {
            self.tally.held += 1;
            self.tally.taken += 1;
            let id = self.pages.len();
            self.pages.push(Page { mm, used: 0, pending: 0, listed: true });
            self.lists[mm].push(id);
            (id, USED[0])
        };
        self.pages[id].used |= half;
        self.tables[table] = (id, half);
        Ok(())
    }

    fn free(&mut self, table: usize) {
        self.tally.lock_acquisitions += 1;
        self.tally.rcu_calls += 1;
        let (id, half) = self.tables[table];
        let page = &mut self.pages[id];
        page.used &= !half;
        page.pending |= half;
        // Only a page whose other half was never handed out can be listed here.
        self.unlist(id);
        self.queued.push((id, half));
    }

    fn exit(&mut self, mm: usize) {
        for id in std::mem::take(&mut self.lists[mm]) {
            self.pages[id].listed = false;
        }
    }

    fn deferred(&mut self) -> Option<Vec<(usize, u8)>> {
        Some(std::mem::take(&mut self.queued)).filter(|halves| !halves.is_empty())
    }

    fn grace_over(&mut self, halves: Vec<(usize, u8)>) {
        for (id, half) in halves {
            let page = &mut self.pages[id];
            page.pending &= !half;
            if page.used == 0 && page.pending == 0 {
                self.tally.held -= 1;
            }
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(policy: &mut S390) {
        let halves = policy.deferred().unwrap();
        policy.grace_over(halves);
    }

    #[test]
    fn a_deferred_free_does_not_relist() {
        let mut policy = S390::new(2048, 1, 3);
        policy.alloc(0, 0).unwrap();
        policy.alloc(0, 1).unwrap();
        assert_eq!(policy.tally().held, 1);
        policy.free(0);
        settle(&mut policy);
        policy.alloc(0, 2).unwrap();
        assert_eq!(policy.tally().held, 2);
        policy.free(1);
        settle(&mut policy);
        policy.free(2);
        settle(&mut policy);
        assert_eq!(
            policy.tally(),
            Tally { held: 0, taken: 2, lock_acquisitions: 6, rcu_calls: 3, reused: 0 }
        );
    }

    #[test]
    fn a_half_used_page_goes_off_the_list_with_its_only_table() {
        let mut policy = S390::new(2048, 1, 3);
        policy.alloc(0, 0).unwrap();
        policy.free(0);
        policy.alloc(0, 1).unwrap();
        assert_eq!(policy.tally().taken, 2);
        settle(&mut policy);
        assert_eq!(policy.tally().held, 1);
        // The mm exits first; the table outlives it, and a new mm does not find the old page.
        policy.exit(0);
        policy.alloc(0, 2).unwrap();
        assert_eq!(policy.tally().taken, 3);
        policy.free(1);
        policy.free(2);
        settle(&mut policy);
        assert_eq!(policy.tally().held, 0);
    }
}
