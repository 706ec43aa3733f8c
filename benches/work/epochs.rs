//! How many epochs of the built-in domain's clock something waits.

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use ptfrag::{Domain, Rcu, RcuHead};
use serde::{Deserialize, Serialize};

/// The epoch of the global domain: a recent ticket is nothing else, and costs a load.
pub(crate) fn now() -> u64 {
    Domain::global().recent_ticket()
}

/// Counts waits as they end, on whichever thread.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    sum: AtomicU64,
    longest: AtomicU64,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        let [count, sum, longest] = [const { AtomicU64::new(0) }; 3];
        Self { count, sum, longest }
    }

    /// One that callbacks can find for as long as the process lives.
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }

    pub(crate) fn note(&self, epochs: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(epochs, Ordering::Relaxed);
        self.longest.fetch_max(epochs, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What has been counted.
    pub(crate) fn epochs(&self) -> Epochs {
        let [count, sum, longest] =
            [&self.count, &self.sum, &self.longest].map(|word| word.load(Ordering::Relaxed));
        Epochs { count, sum, longest }
    }
}

/// Waits, in epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// How many waits there were.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
    /// The longest.
    pub longest: u64,
}

impl Epochs {
    /// The mean; `None` if nothing has waited to the end.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// A head, and when it was queued.
#[repr(C)]
struct Waiting {
    head: RcuHead,
    called: u64,
    tally: &'static Tally,
}

/// Queues a head of its own in the global domain, whose callback tells `tally` how long it has waited.
pub(crate) fn call(tally: &'static Tally) {
    unsafe extern "C" fn done(head: NonNull<RcuHead>) {
        // SAFETY: the head is the first field of a box that was leaked for this callback.
        let waiting = unsafe { Box::from_raw(head.cast::<Waiting>().as_ptr()) };
        waiting.tally.note(now() - waiting.called);
    }
    let waiting = Box::new(Waiting { head: RcuHead::new(), called: now(), tally });
    let head = NonNull::from(Box::leak(waiting)).cast();
    // SAFETY: the head is idle, and its callback's alone from here on.
    unsafe { Domain::global().call(head, done) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted() {
        let tally = Tally::new();
        assert_eq!(tally.epochs().mean(), None);
        [2, 5, 2].into_iter().for_each(|epochs| tally.note(epochs));
        let epochs = tally.epochs();
        assert_eq!(epochs, Epochs { count: 3, sum: 9, longest: 5 });
        assert_eq!(epochs.mean(), Some(3.0));
    }
}
