//! The owner of a domain.

use core::{fmt, ops::Deref};

use super::{Domain, Shared, epoch::Clock, fences::Fences, records::Records, ticket};
use crate::sync::{Arc, AtomicBool, Ordering, Own};

/// The owner of a [`Domain`]. Moving it does not move the domain.
///
/// Dropping it runs everything that is still queued, and what that queues in turn, without waiting:
/// all guards borrow the domain, so there are none left, and leaked ones refer to nothing any more.
/// Hence a callback may run as late as this, and whatever it uses has to live as long.
///
/// ```
/// use ptfrag::{Mm, OwnedDomain, Region};
///
/// let domain = OwnedDomain::new();
/// let region = Region::<4096>::new(100)?;
/// let mm = Mm::<16, 256, _>::new(&domain, region.clone());
/// mm.alloc()?.retire();
/// drop(mm);
/// drop(domain); // the page's callback runs here
/// assert_eq!(region.pages_out(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OwnedDomain(Own<Domain>);

impl OwnedDomain {
    /// A domain without readers.
    ///
    /// Of the domains that exist at the same time, 2047 give [tickets](crate::Rcu::ticket). With one of the others nothing
    /// that is retired joins a call in flight, and a page that another mm has shown is taken from under the lock only.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Fences::Symmetric)
    }

    /// A domain whose readers make no fence, the most expensive part of a section; in its place each step of
    /// the epoch has the system make one in every thread (Linux's `membarrier`). For many sections and few retirements: a
    /// section costs less than half as much, and a step a system call, which interrupts the threads that run. So a grace
    /// period takes one epoch more, and the drops of [`Guard`](super::Guard)s take fewer steps: more is waiting at a time.
    ///
    /// On other systems, before Linux 4.14, and where a filter forbids the call, the domain is one like any other:
    /// [`is_asymmetric`](Domain::is_asymmetric) tells. A filter that forbids it later ends all grace periods: nothing is
    /// reclaimed from then on, and [`synchronize`](Domain::synchronize) and [`barrier`](Domain::barrier) never return.
    #[must_use]
    pub fn asymmetric() -> Self {
        Self::with(Fences::asymmetric())
    }

    fn with(fences: Fences) -> Self {
        let begin = ticket::begin();
        let range = ticket::range(begin.to_bits());
        let clock = Clock::starting_at(begin, fences);
        let records = Records::new();
        let shared = Arc::new(Shared { clock, range, records, dropped: AtomicBool::new(false) });
        // Callbacks that are queued may refer to it while its owner moves.
        Self(Own::new(Domain { shared }))
    }
}

impl Default for OwnedDomain {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for OwnedDomain {
    type Target = Domain;

    #[inline]
    fn deref(&self) -> &Domain {
        &self.0
    }
}

impl fmt::Debug for OwnedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for OwnedDomain {
    fn drop(&mut self) {
        // SAFETY: sections, polls and whatever else uses a domain borrows it, so nobody does now
        // but the callbacks, which this runs.
        unsafe { self.shared.run_down() };
        self.shared.dropped.store(true, Ordering::Relaxed);
        self.shared.end_tickets();
    }
}
