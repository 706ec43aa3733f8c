//! The epoch and what readers announce of it: the protocol of the [module](super)'s documentation.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering, fence};

/// A value of the domain's clock. Never zero; 64 bits do not wrap around.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// Before all others.
    pub(super) const LONG_AGO: Self = Self(0);

    /// Whether a grace period that began in this epoch is over at `now`.
    pub(super) fn is_over(self, now: Self) -> bool {
        now.0 >= self.0 + 2
    }

    /// How many epochs ago this one was.
    pub(super) fn age(self, now: Self) -> u64 {
        now.0.saturating_sub(self.0)
    }

    /// For words that only hint at an epoch, and for tickets.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// What a reader's record shows to those who want to advance the clock: the epoch that it entered
/// in, or zero outside of sections. Only the record's owner writes it.
pub(super) struct Announcement(AtomicU64);

impl Announcement {
    const NONE: u64 = 0;

    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Self::NONE))
    }

    /// Opens a section.
    #[inline]
    pub(super) fn enter(&self, epoch: Epoch) {
        // Release: the owner's earlier sections happen before an advance that finds this value in
        // the place of the one that `leave` stored. Pairs with the acquire fence in `advance`.
        self.0.store(epoch.0, Ordering::Release);
        // SeqCst: the reader's half of the protocol. Either an advance whose fence comes later
        // finds the announcement, or this section sees whatever came before that fence. Pairs with
        // the fences in `advance` and in `Clock::tag`.
        fence(Ordering::SeqCst);
    }

    /// Closes the section.
    #[inline]
    pub(super) fn leave(&self) {
        // Release: the section's accesses happen before the advance that no longer finds it.
        // Pairs with the acquire fence in `advance`.
        self.0.store(Self::NONE, Ordering::Release);
    }

    /// Whether no section is open. What those before did then happens before this.
    pub(super) fn is_none(&self) -> bool {
        // Acquire: pairs with the release in `leave`.
        self.0.load(Ordering::Acquire) == Self::NONE
    }

    pub(super) fn allows(&self, epoch: Epoch) -> bool {
        // Relaxed: `advance` has a fence on either side of the scan.
        let shown = self.0.load(Ordering::Relaxed);
        shown == Self::NONE || shown == epoch.0
    }
}

/// The domain's epoch.
pub(super) struct Clock(CachePadded<AtomicU64>);

impl Clock {
    pub(super) fn starting_at(epoch: Epoch) -> Self {
        Self(CachePadded::new(AtomicU64::new(epoch.0)))
    }

    /// The epoch, or an earlier one: a reader that announces an old epoch only waits to be noticed.
    #[inline]
    pub(super) fn now(&self) -> Epoch {
        // Relaxed: the fences order what matters.
        Epoch(self.0.load(Ordering::Relaxed))
    }

    /// The epoch, to be compared with a tag: where a grace period is over, the sections that it
    /// waited for have happened.
    pub(super) fn now_after_readers(&self) -> Epoch {
        // Acquire: pairs with the release in `advance`. A later value does as well as the one that
        // ended the grace period, since only read-modify-writes change the clock.
        Epoch(self.0.load(Ordering::Acquire))
    }

    /// The epoch in which a grace period begins for whatever happened before this call.
    pub(super) fn tag(&self) -> Epoch {
        // SeqCst: pairs with the fence in `advance`. If the load below misses the advance from
        // `e`, the fence of the advance from `e + 1` comes after this one. It is also the acquire
        // that pairs with `Queue::push`.
        fence(Ordering::SeqCst);
        Epoch(self.0.load(Ordering::Relaxed))
    }

    /// Tries to move on by one epoch. Gives up if a reader is in the way or somebody was faster.
    ///
    /// `readers` is asked for the announcements after the fence, and not before: a record that was
    /// put in the list before a fence that came earlier has to be among them.
    pub(super) fn advance<'a, R>(&self, readers: impl FnOnce() -> R) -> bool
    where
        R: Iterator<Item = &'a Announcement>,
    {
        let epoch = self.now();
        // SeqCst: pairs with the fence in `Announcement::enter`, and with the one in `tag`.
        fence(Ordering::SeqCst);
        for reader in readers() {
            if !reader.allows(epoch) {
                return false;
            }
        }
        // Acquire: pairs with the stores of the announcements, so that the sections which they end
        // or come after happen before the new epoch.
        fence(Ordering::Acquire);
        // Release: hands these sections on to `now_after_readers`. Relaxed on failure: nothing is
        // concluded from it.
        self.0.compare_exchange(epoch.0, epoch.0 + 1, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}
