//! What leaving a section costs while a backlog shrinks that a stalled reader has left.

use std::{
    collections::HashSet,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    allocator::{Allocator, Handle, Setup, Sharing},
    who::{Visit, epoch::Epoch, heads::Heads, sdd::Sdd},
};

/// Whose guards they are. Everybody has the same blocks from the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The built-in domain's.
    Domain,
    /// crossbeam-epoch's.
    CrossbeamEpoch,
    /// sdd's.
    Sdd,
}

/// The work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backlog {
    /// Whose guards.
    pub by: By,
    /// Retirements, in a section each, while the reader stalls.
    pub backlog: u32,
    /// Whether each section after that has a retirement in it, too.
    pub retires: bool,
}

/// What it gives. The time of a section is that from before it is entered until it is left, with what is
/// retired in it and a reading of the clock: not everybody does the work at the end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Shrinking {
    /// Sections until as many callbacks had run as the backlog has.
    pub sections: u64,
    /// What they took together.
    pub total: Duration,
    /// What the longest took.
    pub longest: Duration,
    /// Callbacks that ran in the longest.
    pub ran_in_longest: u64,
    /// The most callbacks that ran in one.
    pub most: u64,
    /// What the first took in which any ran.
    pub first: Duration,
    /// Callbacks that were still missing when it was given up.
    pub left: u64,
}

/// After so many sections it is given up: enough for who runs one callback in ten of them.
const ENOUGH: u64 = 10_000_000;

impl Shrinking {
    /// Counts a section in which so many callbacks ran.
    fn note(&mut self, took: Duration, ran: u64) {
        self.sections += 1;
        self.total += took;
        if took > self.longest {
            (self.longest, self.ran_in_longest) = (took, ran);
        }
        if ran != 0 && self.most == 0 {
            self.first = took;
        }
        self.most = self.most.max(ran);
        self.left = self.left.saturating_sub(ran);
    }
}

/// Does the work.
#[must_use]
pub fn backlog(work: Backlog) -> Shrinking {
    match work.by {
        By::Domain => work.visit::<Heads<64>>(),
        By::CrossbeamEpoch => work.visit::<Epoch<64, true>>(),
        By::Sdd => work.visit::<Sdd<64, true>>(),
    }
}

impl Visit for Backlog {
    type Out = Shrinking;

    fn visit<A: Allocator>(self) -> Shrinking {
        let owner = A::new(Setup { held: 1, sharing: Sharing::OneMm });
        let allocator = &owner;
        let turn = &Barrier::new(2);
        let mut shrinking = Shrinking { left: u64::from(self.backlog), ..Shrinking::default() };
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                allocator.handle(1).in_section(|| {
                    turn.wait();
                    turn.wait();
                });
            });
            let mut handle = allocator.handle(0);
            turn.wait();
            for _ in 0..self.backlog {
                let block = handle.allocate();
                handle.retire(block);
            }
            turn.wait();
            reader.join().expect("the reader panicked");
            // Blocks count until they are freed, so that the difference are those that were.
            let blocks = || allocator.in_flight(0, &HashSet::new()) as u64;
            while shrinking.left != 0 && shrinking.sections < ENOUGH {
                let block = self.retires.then(|| handle.allocate());
                let before = blocks();
                let begun = Instant::now();
                match block {
                    Some(block) => handle.retire(block),
                    None => handle.in_section(|| ()),
                }
                let took = begun.elapsed();
                shrinking.note(took, before - blocks());
            }
        });
        owner.quiesce();
        shrinking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_counted() {
        let mut shrinking = Shrinking { left: 100, ..Shrinking::default() };
        for (nanos, ran) in [(10, 0), (20, 64), (40, 0), (30, 70)] {
            shrinking.note(Duration::from_nanos(nanos), ran);
        }
        let Shrinking { sections, total, longest, ran_in_longest, most, first, left } = shrinking;
        assert_eq!((sections, total.as_nanos(), longest.as_nanos()), (4, 100, 40));
        assert_eq!((ran_in_longest, most, first.as_nanos(), left), (0, 70, 20, 0));
    }
}
