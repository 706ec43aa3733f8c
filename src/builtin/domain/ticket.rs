//! Tickets: epochs that tell whose they are.
//!
//! A ticket is the tag of a batch that is taken when it is given; its grace period is over when a batch with that tag is
//! ripe. All points of the [proof](super) hold with the ticket's fence in the place of the tagger's. Who
//! queues a head after that is tagged no earlier.
//!
//! The clocks of domains that exist at the same time run in ranges of their own, so that no domain takes
//! another's ticket for one of its own; other RCUs do well to keep theirs below the first range. A range serves
//! one domain after the other: the next goes on where the last one ended, whose sections are all over.

use std::sync::{Mutex, PoisonError};

use super::{Shared, epoch::Epoch};
use crate::sync::MODEL;

/// The bits of an epoch that count. Of 10 million epochs in a second there is room for 14 years.
const COUNT: u32 = 52;

/// Which domain's range an epoch is in. The first range is of those that can not tell, when all others are
/// in use.
pub(super) const fn range(bits: u64) -> u64 {
    bits >> COUNT
}

/// The last range. An announcement has a bit for the epoch less.
const LAST: u64 = range(u64::MAX >> 1);

/// Nothing of it is ever allocated: the allocator may be waiting for a domain.
struct Ranges {
    /// How many have been in use.
    begun: u64,
    /// Where those begin that are not any more, the first so many.
    ended: [u64; LAST as usize],
    count: usize,
}

impl Ranges {
    /// Where a range begins that is not in use, if there is one.
    fn take(&mut self) -> Option<u64> {
        if self.count != 0 {
            self.count -= 1;
            return Some(self.ended[self.count]);
        }
        (self.begun < LAST).then(|| {
            self.begun += 1;
            self.begun << COUNT
        })
    }

    fn put(&mut self, next: u64) {
        // There are no more of them than there are ranges.
        self.ended[self.count] = next;
        self.count += 1;
    }
}

static RANGES: Mutex<Ranges> = Mutex::new(Ranges { begun: 0, ended: [0; LAST as usize], count: 0 });

/// Where the clock of a new domain begins.
pub(super) fn begin() -> Epoch {
    if MODEL {
        // The same in every execution.
        return Epoch::from_bits(1 << COUNT);
    }
    let mut ranges = RANGES.lock().unwrap_or_else(PoisonError::into_inner);
    Epoch::from_bits(ranges.take().unwrap_or(1))
}

impl Shared {
    /// The domain is gone: its range serves another one, unless it is used up.
    pub(super) fn end_tickets(&self) {
        // By then the grace period of every ticket is over.
        let next = self.clock.recent_tag().to_bits() + 2;
        if self.gave(next) && !MODEL {
            RANGES.lock().unwrap_or_else(PoisonError::into_inner).put(next);
        }
    }

    /// An epoch as a ticket: zero for a domain that cannot tell, be it because its clock has left its range.
    fn told(&self, epoch: Epoch) -> u64 {
        let bits = epoch.to_bits();
        if self.gave(bits) { bits } else { 0 }
    }

    pub(super) fn ticket(&self) -> u64 {
        self.told(self.clock.tag())
    }

    pub(super) fn has_elapsed(&self, ticket: u64) -> bool {
        self.gave(ticket) && Epoch::from_bits(ticket).is_over(self.clock.now_after_readers())
    }

    pub(super) fn gave(&self, ticket: u64) -> bool {
        self.range != 0 && range(ticket) == self.range
    }

    /// Without the fence: whoever queues a head after that is tagged no earlier, since the tagger sees what it
    /// did.
    pub(super) fn recent_ticket(&self) -> u64 {
        self.told(self.clock.recent_tag())
    }

    /// Whether it is worth asking for [`ticket`](Self::ticket).
    pub(super) fn may_be_current(&self, ticket: u64) -> bool {
        self.clock.recent_tag().to_bits() == ticket
    }
}
