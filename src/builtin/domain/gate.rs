//! Which of some places are to be looked at: the handshake between who comes back and who closes.
//!
//! A place is *open*, *closing* or *closed*, and those who look skip the closed ones. Anybody opens any
//! place, at any time, with one exchange that does no harm when it is made twice. One thread at a time
//! closes: it marks places as closing, makes a full fence (a heavy one where readers make none), looks again whether they are idle, and closes
//! those that are and that nobody has opened meanwhile.
//!
//! Whoever finds its place not open opens it. Whoever comes to one that it believes to be open says so in
//! another word (it announces an epoch), makes a full fence, and looks at the place. Either it finds the mark, and
//! opens the place, or its fence came before that of whoever marks the place later, who then finds what it said.

use super::fences::Fences;
use crate::sync::{AtomicU64, Ordering, bound};

/// How many records a leaf has, and leaves a root.
pub(super) const FAN: usize = bound(32, 2) as usize;

/// The state of [`FAN`] places, two bits each: the low half of the word says *closing*, and with the bit in
/// the high half it is *closed*.
pub(super) struct Gate(AtomicU64);

/// Both bits of a place.
#[derive(Clone, Copy)]
pub(super) struct Mask(u64);

impl Mask {
    pub(super) const fn of(place: usize) -> Self {
        Self(1 << place | 1 << (place + 32))
    }
}

/// Those of `word` that are not closed.
fn not_closed(word: u64) -> Places {
    Places(!(word >> 32) as u32)
}

impl Gate {
    /// All closed.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// All open. Never to be closed.
    pub(super) fn open_for_good() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether the place is open, and not about to be closed.
    #[inline]
    pub(super) fn is_open(&self, place: Mask) -> bool {
        // Relaxed: comes after a full fence, as the module's documentation has it.
        self.0.load(Ordering::Relaxed) & place.0 == 0
    }

    /// Whether the place is closed, for the moment.
    pub(super) fn is_closed(&self, place: Mask) -> bool {
        self.0.load(Ordering::Relaxed) & place.0 == place.0
    }

    /// Opens the place. Whoever marks it later finds what was done before this.
    pub(super) fn open(&self, place: Mask) {
        // Release: pairs with the acquire of the mark in `close`.
        self.0.fetch_and(!place.0, Ordering::Release);
    }

    /// The places to look at. What happened in those that are not among them happens before an acquire fence that
    /// follows.
    pub(super) fn places(&self) -> Places {
        // Relaxed: that fence pairs with the release in `close`.
        not_closed(self.0.load(Ordering::Relaxed))
    }

    /// Closes those of `places`, which were open, that nobody has opened since this call began and that
    /// are idle, which `is_idle` tells for sure when it is called after the full fence here.
    ///
    /// Only one thread at a time may call this.
    pub(super) fn close(
        &self,
        places: Places,
        fences: Fences,
        mut is_idle: impl FnMut(usize) -> bool,
    ) {
        if places.0 == 0 {
            return;
        }
        // Acquire: pairs with the release in `open`.
        self.0.fetch_or(u64::from(places.0), Ordering::Acquire);
        // The closer's half of the handshake. Pairs with the fence between coming back and the look at the place.
        let fenced = fences.heavy();
        let idle = places.filter(|place| fenced && is_idle(*place));
        let idle = idle.fold(0, |all, place| all | 1 << place);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            // Who has opened a place has taken its mark off, and nobody else marks.
            let marked = word & u64::from(places.0);
            let closed = marked & idle;
            let new = (word & !(marked & !idle)) | closed << 32;
            // Release: what `is_idle` has found over happens before whoever skips the place goes on.
            // Pairs with the acquire fence in `Clock::advance`, also across later exchanges.
            match self.0.compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Whether there is nothing to look at.
    pub(super) fn is_all_closed(&self) -> bool {
        self.places().next().is_none()
    }
}

/// Some places, the lowest first.
#[derive(Clone, Copy)]
pub(super) struct Places(u32);

impl Places {
    pub(super) fn only(self, mut which: impl FnMut(usize) -> bool) -> Self {
        Self(self.filter(|place| which(*place)).fold(0, |all, place| all | 1 << place))
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (place < FAN).then_some(place)
    }
}
