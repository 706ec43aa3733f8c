//! The epoch and what readers announce of it: the protocol of the [module](super)'s documentation.

use crossbeam_utils::CachePadded;

use super::{
    fences::Fences,
    pace::{DEAR, pace},
    time,
};
use crate::sync::{AtomicU64, MODEL, Ordering, Private, RealAtomicU64, between, fence};

/// A value of the domain's clock. Never zero; 63 bits do not wrap around.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(u64);

/// How many tags there are at the same time of grace periods that are not over: one of [`Clock::tag`], and those of
/// the epochs before that have not ended twice.
pub(super) const EPOCHS: usize = 3;

impl Epoch {
    /// Before all others.
    pub(super) const LONG_AGO: Self = Self(0);

    /// Whether a grace period that began in this epoch is over at `now`.
    pub(super) fn is_over(self, now: Self) -> bool {
        now.0 >= self.0 + 2
    }

    /// The place among [`EPOCHS`] of heads with this tag.
    pub(super) fn place(self) -> usize {
        (self.0 % EPOCHS as u64) as usize
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
pub(super) struct Announcement {
    /// Twice the epoch, and [`ON_THE_WAY`](Self::ON_THE_WAY).
    shown: AtomicU64,
    /// In a model, whether it shows an epoch: for the owner, since each look at an atomic makes more orders to try.
    own: Private,
}

impl Announcement {
    const NONE: u64 = 0;
    /// The section has not made its fence: nothing relies on the announcement yet, and it may still change. Not of sections
    /// that make none.
    const ON_THE_WAY: u64 = 1;

    pub(super) fn new() -> Self {
        Self { shown: AtomicU64::new(Self::NONE), own: Private::new(0) }
    }

    fn of(epoch: Epoch) -> u64 {
        epoch.0 << 1
    }

    /// Announces a section, and returns the epoch. None may be open.
    #[inline]
    pub(super) fn enter(&self, clock: &Clock) -> Epoch {
        between();
        let epoch = clock.now();
        between();
        // Release: the owner's earlier sections happen before an advance that finds this value in
        // the place of the one that `leave` stored. Pairs with the acquire fence in `advance`.
        match clock.fences() {
            Fences::Symmetric => self.show(Self::of(epoch) | Self::ON_THE_WAY),
            Fences::Asymmetric => self.show(Self::of(epoch)),
        }
        // The reader's half of the protocol. Either an advance whose fence comes later finds the announcement, or
        // this section sees whatever came before that fence. Pairs with the fences in `advance`, in `Clock::tag` and in
        // `Gate::close`.
        clock.fences().light();
        epoch
    }

    /// From here on the section relies on what it has announced: this epoch.
    #[inline]
    pub(super) fn settle(&self, epoch: Epoch, fences: Fences) {
        // No model has signal handlers, who alone make a difference. One that comes just now may have announced a later
        // epoch; this one does as well.
        if !MODEL && fences == Fences::Symmetric {
            // Release: as in `enter`, whose store this one takes the place of.
            self.show(Self::of(epoch));
        }
    }

    /// Whether a section relies on it. Only for the owner, who shows one.
    pub(super) fn is_settled(&self) -> bool {
        MODEL || self.shown.load(Ordering::Relaxed) & Self::ON_THE_WAY == 0
    }

    /// Closes the section.
    #[inline]
    pub(super) fn leave(&self) {
        // Release: the section's accesses happen before the advance that no longer finds it.
        // Pairs with the acquire fence in `advance`.
        self.show(Self::NONE);
    }

    #[inline]
    fn show(&self, shown: u64) {
        self.shown.store(shown, Ordering::Release);
        if MODEL {
            self.own.set(usize::from(shown != Self::NONE));
        }
    }

    /// Whether a section is open or about to be. Only for the owner.
    #[inline]
    pub(super) fn is_shown(&self) -> bool {
        // Relaxed: one's own value.
        if MODEL { self.own.get() != 0 } else { self.shown.load(Ordering::Relaxed) != Self::NONE }
    }

    /// Whether no section is open. What those before did then happens before this.
    pub(super) fn is_none(&self) -> bool {
        // Acquire: pairs with the release in `leave`.
        self.shown.load(Ordering::Acquire) == Self::NONE
    }

    pub(super) fn allows(&self, epoch: Epoch) -> bool {
        // Relaxed: `advance` has a fence on either side of the scan.
        let shown = self.shown.load(Ordering::Relaxed);
        shown == Self::NONE || shown & !Self::ON_THE_WAY == Self::of(epoch)
    }

    /// Whether it shows an earlier epoch, for operators. Unlike [`allows`](Self::allows) this tells who has been there
    /// for long from who has come in an epoch that began since one looked at the clock.
    pub(super) fn is_before(&self, epoch: Epoch) -> bool {
        let shown = self.shown.load(Ordering::Relaxed);
        shown != Self::NONE && shown < Self::of(epoch)
    }
}

/// The domain's epoch, and how the fences are made that order it.
pub(super) struct Clock {
    face: CachePadded<Face>,
    /// Apart from what each reader loads.
    notes: CachePadded<Notes>,
}

struct Face {
    epoch: AtomicU64,
    fences: Fences,
}

/// Of fences in every thread: hints.
struct Notes {
    /// When somebody last made one, in milliseconds.
    made: RealAtomicU64,
    /// What one costs, in nanoseconds.
    price: RealAtomicU64,
}

impl Clock {
    pub(super) fn starting_at(epoch: Epoch, fences: Fences) -> Self {
        let notes = Notes { made: RealAtomicU64::new(0), price: RealAtomicU64::new(0) };
        Self {
            face: CachePadded::new(Face { epoch: AtomicU64::new(epoch.0), fences }),
            notes: CachePadded::new(notes),
        }
    }

    #[inline]
    pub(super) fn fences(&self) -> Fences {
        self.face.fences
    }

    /// The epoch, or an earlier one: a reader that announces an old epoch only waits to be noticed.
    #[inline]
    pub(super) fn now(&self) -> Epoch {
        // Relaxed: the fences order what matters.
        Epoch(self.face.epoch.load(Ordering::Relaxed))
    }

    /// The epoch, to be compared with a tag: where a grace period is over, the sections that it
    /// waited for have happened.
    pub(super) fn now_after_readers(&self) -> Epoch {
        // Acquire: pairs with the release in `advance`. A later value does as well as the one that
        // ended the grace period, since only read-modify-writes change the clock.
        Epoch(self.face.epoch.load(Ordering::Acquire))
    }

    /// The epoch in which a grace period begins for whatever happened before this call.
    pub(super) fn tag(&self) -> Epoch {
        // SeqCst: pairs with the fence in `advance`. If the load below misses the advance from
        // `e`, the fence of the advance from `e + 1` comes after this one. It is also the acquire
        // that pairs with `Queue::push`.
        fence(Ordering::SeqCst);
        self.recent_tag()
    }

    /// The same, or an earlier one, for whatever happened before some fence.
    pub(super) fn recent_tag(&self) -> Epoch {
        let Epoch(now) = self.now();
        match self.face.fences {
            Fences::Symmetric => Epoch(now),
            // A reader without a fence may announce the next epoch and yet miss what came before this one's.
            Fences::Asymmetric => Epoch(now + 1),
        }
    }

    /// [`Fences::heavy`], with a note of what it costs.
    fn heavy_fence(&self) -> bool {
        let fences = self.fences();
        let Notes { made, price } = &*self.notes;
        if fences == Fences::Symmetric {
            return fences.heavy();
        }
        made.store(time::now(), Ordering::Relaxed);
        let (fenced, cost) = time::timed(|| fences.heavy());
        // Smoothed: now and then the thread is preempted meanwhile.
        let known = price.load(Ordering::Relaxed);
        let next = if cost > known {
            known + (cost - known).min(DEAR) / 8
        } else {
            known - (known - cost) / 8
        };
        price.store(next, Ordering::Relaxed);
        fenced
    }

    /// So many times as long is the way from one poll to the next as where readers make their fences.
    #[inline]
    pub(super) fn pace(&self) -> usize {
        match self.face.fences {
            Fences::Symmetric => 1,
            Fences::Asymmetric => pace(self.notes.price.load(Ordering::Relaxed)),
        }
    }

    /// Whether it has not moved for a tick of the system's clock, as far as is known.
    pub(super) fn has_been_still(&self) -> bool {
        self.notes.made.load(Ordering::Relaxed) != time::now()
    }

    /// Tries to move on by one epoch. Gives up if a reader is in the way or somebody was faster.
    ///
    /// `readers` is asked for the announcements after the fence, and not before: a record that was
    /// put in the list before a fence that came earlier has to be among them.
    pub(super) fn advance<'a, R>(&self, readers: impl Fn() -> R) -> bool
    where
        R: Iterator<Item = &'a Announcement>,
    {
        let epoch = self.now();
        let nobody_in_the_way = || readers().all(|reader| reader.allows(epoch));
        // A fence of everybody costs more than a look that can do without.
        if self.fences() == Fences::Asymmetric && !nobody_in_the_way() {
            return false;
        }
        // Pairs with the fence in `Announcement::enter`, and with the one in `tag`.
        if !self.heavy_fence() || !nobody_in_the_way() {
            return false;
        }
        // Acquire: pairs with the stores of the announcements, so that the sections which they end
        // or come after happen before the new epoch.
        fence(Ordering::Acquire);
        // Release: hands these sections on to `now_after_readers`. Relaxed on failure: nothing is
        // concluded from it.
        let clock = &self.face.epoch;
        clock.compare_exchange(epoch.0, epoch.0 + 1, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}
